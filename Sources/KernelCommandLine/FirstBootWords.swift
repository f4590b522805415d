/// Words that boot loaders and installers put on the line of a machine's first boot alone. On the line of the boot from
/// which a kexec is made they stand still, and would make the next kernel's user space set the machine up once more.
public enum FirstBootWords {
    /// Ignition on Fedora CoreOS and openSUSE MicroOS; Flatcar Container Linux, under its old name, too (GRUB adds the
    /// first on the first boot, and the second for a disk that has still the image's identifier);
    /// kernel-command-line(7) and machine-id(5) of systemd.
    static let all: [StaticString] = [
        "ignition.firstboot", "flatcar.first_boot", "flatcar.randomize_guid", "coreos.first_boot",
        "coreos.randomize_guid", "systemd.condition_first_boot", "systemd.machine_id",
    ]

    /// Those that stand on a line, before a bare `--`, in the order of the table.
    public static func find(on line: ParameterLine) -> [StaticString] {
        all.filter { line.contains(named: ParameterName(stringLiteral: $0)) }
    }
}
