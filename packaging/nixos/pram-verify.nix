# A module for NixOS; README.md beside it says what of it was tried.
{ config, lib, ... }:

let
  cfg = config.services.pram-verify;
in
{
  options.services.pram-verify = {
    enable = lib.mkEnableOption "the check of a chain of pages, by pram-verify, in the initrd";

    package = lib.mkOption {
      type = lib.types.package;
      description = "A package with the static program in bin/pram-verify.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = config.boot.initrd.systemd.enable;
        message = "services.pram-verify needs boot.initrd.systemd.enable";
      }
    ];
    environment.systemPackages = [ cfg.package ];
    # For a range that memmap=nn!ss sets aside; udev is not there yet to load them.
    boot.initrd.kernelModules = [
      "nd_e820"
      "nd_pmem"
    ];
    boot.initrd.systemd = {
      storePaths = [ "${cfg.package}/bin/pram-verify" ];
      services.pram-verify-boot = {
        description = "Verify the chain that the last kernel has left in memory";
        wantedBy = [ "initrd.target" ];
        after = [ "systemd-modules-load.service" ];
        before = [
          "systemd-udevd.service"
          "local-fs-pre.target"
          "initrd-root-fs.target"
        ];
        conflicts = [
          "shutdown.target"
          "emergency.target"
        ];
        unitConfig.DefaultDependencies = false;
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          # The boot goes on, whatever it finds: a shell or a halt that the kernel command line asks for is not heeded.
          ExecStart = "-${cfg.package}/bin/pram-verify boot";
          StandardError = "journal+console";
          KillMode = "process";
          TimeoutStartSec = "infinity";
        };
      };
    };
  };
}
