import Initrd

/// Which of an image's files say whether the helper runs.
enum Interest {
    static let helperName = Array("pram-verify".utf8)
    static let markerPrefix = ProgramMarker.prefix

    /// Last components, with which most files are told apart at once.
    private static let names: [[UInt8]] = texts([
        "ORDER", "functions", "dracut-lib.sh", "systemd", "pram-verify-boot.service", "boot.sh", "sh", "cat",
        "modprobe",
        "98-pram-verify.rules", "modules.builtin", "initrd-release", "busybox", "init", "init_functions", "config",
    ])

    /// Paths without `usr/`.
    private static let paths: [[UInt8]] = texts([
        "init", "init_functions", "config", "hooks/pram-verify", "scripts/functions", "scripts/init-top/ORDER",
        "scripts/init-top/pram-verify", "lib/dracut-lib.sh",
        "lib/systemd/systemd", "lib/pram-verify/boot.sh", "etc/initrd-release", "etc/udev/rules.d/98-pram-verify.rules",
        "lib/udev/rules.d/98-pram-verify.rules",
    ])

    /// Directories, or links in their place, through which the helper's files are reached, without `usr/`.
    private static let places: [[UInt8]] = {
        var found: [[UInt8]] = texts(["usr", "lib", "sbin", "bin", "var", "var/lib", "etc"])
        for file in HookFiles.all + texts(["var/lib/dracut/hooks/cmdline/x"]) {
            found += ArchivePath.ancestors(ArchivePath.withoutUsr(file))
        }
        return found
    }()

    /// Everything that `append` and `make` ever write, with the directories above.
    private static let own: [[UInt8]] = {
        var found: [[UInt8]] = []
        for file in HookFiles.all + texts(["var/lib/dracut/hooks/cmdline/00-pram-verify.sh"]) {
            found += ArchivePath.ancestors(file)
            found.append(file)
        }
        return found.map { ArchivePath.withoutUsr($0) } + texts(["usr"])
    }()

    static func isNamed(_ name: ArraySlice<UInt8>) -> Bool {
        if names.contains(where: { $0.count == name.count && name.elementsEqual($0) }) { return true }
        return name.count >= 14 && name.suffix(14).elementsEqual("pram-verify.sh".utf8)
    }

    /// - Parameter canonical: normalized, without `usr/`.
    static func isWanted(_ canonical: [UInt8], _ type: FileType) -> Bool {
        if type == .directory { return places.contains(canonical) }
        if paths.contains(canonical) || isProgram(canonical) || isUnit(canonical) || isShellHook(canonical) {
            return true
        }
        if type == .symbolicLink { return places.contains(canonical) }
        return canonical.starts(with: "lib/modules/".utf8)
            && ArchivePath.lastComponent(canonical).elementsEqual("modules.builtin".utf8)
    }

    private static let programs: [[UInt8]] = texts(["sh", "cat", "modprobe", "busybox"])

    static func isProgram(_ canonical: [UInt8]) -> Bool {
        guard canonical.starts(with: "bin/".utf8) || canonical.starts(with: "sbin/".utf8) else { return false }
        return programs.contains { ArchivePath.lastComponent(canonical).elementsEqual($0) }
    }

    /// The unit itself, and links that make a target want it.
    static func isUnit(_ canonical: [UInt8]) -> Bool {
        ArchivePath.lastComponent(canonical).elementsEqual("pram-verify-boot.service".utf8)
            && (canonical.starts(with: "lib/systemd/system/".utf8)
                || canonical.starts(with: "etc/systemd/system/".utf8))
    }

    /// Hooks of dracut lie in lib/dracut/hooks; newer releases have var/lib/dracut/hooks there, behind a link.
    static func isShellHook(_ canonical: [UInt8]) -> Bool {
        let name = ArchivePath.lastComponent(canonical)
        guard name.count >= 14, name.suffix(14).elementsEqual("pram-verify.sh".utf8) else { return false }
        return ArchivePath.parent(canonical).suffix(21).elementsEqual("/dracut/hooks/cmdline".utf8)
    }

    static func isModule(_ name: ArraySlice<UInt8>, _ driver: StaticString) -> Bool {
        let driver = bytes(of: driver)
        guard name.count >= driver.count + 3 else { return false }
        for (a, b) in zip(name, driver) where a != b && !(a == UInt8(ascii: "-") && b == UInt8(ascii: "_")) {
            return false
        }
        return name.dropFirst(driver.count).starts(with: ".ko".utf8)
    }

    static func mayBeELF(_ record: NewcRecord, _ name: ArraySlice<UInt8>) -> Bool {
        record.isExecutable && !name.elementsEqual(helperName)
    }

    static func isOwn(_ record: NewcRecord) -> Bool {
        let path = ArchivePath.withoutUsr(record.name)
        return own.contains { $0 == path }
    }

    private static func texts(_ list: [StaticString]) -> [[UInt8]] { list.map { bytes(of: $0) } }
}
