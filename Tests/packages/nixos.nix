# pram-verify.nix of packaging/nixos, evaluated: with lib of nixpkgs, and the options that it sets declared here.
{ lib, enable ? true, systemd ? true }:
let
  unit = lib.types.submodule {
    options = {
      description = lib.mkOption { type = lib.types.singleLineStr; default = ""; };
      wantedBy = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
      after = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
      before = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
      conflicts = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
      unitConfig = lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; };
      serviceConfig = lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; };
    };
  };
  others = {
    options = {
      assertions = lib.mkOption { type = lib.types.listOf lib.types.unspecified; default = [ ]; };
      environment.systemPackages = lib.mkOption { type = lib.types.listOf lib.types.package; default = [ ]; };
      boot.initrd.kernelModules = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
      boot.initrd.systemd.enable = lib.mkOption { type = lib.types.bool; default = false; };
      boot.initrd.systemd.storePaths = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
      boot.initrd.systemd.services = lib.mkOption { type = lib.types.attrsOf unit; default = { }; };
    };
  };
  package = derivation { name = "pram-verify"; system = "x86_64-linux"; builder = "/bin/sh"; };
in
{ inherit (lib.evalModules {
    modules = [ ../../packaging/nixos/pram-verify.nix others {
      services.pram-verify = { inherit enable package; };
      boot.initrd.systemd.enable = systemd;
    } ];
  }) config; }
