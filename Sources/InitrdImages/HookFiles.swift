import CHookFiles
import Initrd

/// Who runs the helper in an image.
public enum Flavour: UInt8, Sendable, CaseIterable {
    /// Debian's and Ubuntu's, whose init runs the scripts that ORDER names.
    case initramfsTools
    /// dracut without systemd, whose init sources hooks.
    case dracutShell
    /// mkinitcpio's without systemd, whose init sources the hooks that its /config names.
    case mkinitcpio
    /// systemd as the init of an image by dracut, mkinitcpio or mkosi, which starts units.
    case systemd

    public var name: StaticString {
        switch self {
        case .initramfsTools: "initramfs-tools"
        case .dracutShell: "dracut-shell"
        case .mkinitcpio: "mkinitcpio"
        case .systemd: "systemd"
        }
    }

    /// By its name; nil for any other.
    public init?(name: [UInt8]) {
        for flavour in Flavour.allCases where name.elementsEqual(bytes(of: flavour.name)) {
            self = flavour
            return
        }
        return nil
    }
}

/// The files that make an image run the helper: the same ones, in the same places, as the hooks of initramfs-tools,
/// dracut and mkinitcpio put there; but for the rules, which those of mkinitcpio put below usr/lib.
enum HookFiles {
    /// A file, or a link, of an image.
    struct Item {
        let path: [UInt8]
        /// nil for a link.
        let permissions: UInt32?
        /// A link's target.
        let content: [UInt8]
    }

    static let program = Array("usr/sbin/pram-verify".utf8)
    static let initScript = Array("scripts/init-top/pram-verify".utf8)
    static let order = Array("scripts/init-top/ORDER".utf8)
    static let shellHook = Array("lib/dracut/hooks/cmdline/00-pram-verify.sh".utf8)
    static let runtimeHook = Array("hooks/pram-verify".utf8)
    static let config = Array("config".utf8)
    static let unit = Array("usr/lib/systemd/system/pram-verify-boot.service".utf8)
    static let wants = Array("usr/lib/systemd/system/initrd.target.wants/pram-verify-boot.service".utf8)
    static let unitScript = Array("usr/lib/pram-verify/boot.sh".utf8)
    static let rules = Array("etc/udev/rules.d/98-pram-verify.rules".utf8)

    /// As ORDER has it.
    static let orderedScript = Array("/scripts/init-top/pram-verify".utf8)

    /// As EARLYHOOKS has it.
    static let hookName = Array("pram-verify".utf8)

    static let all = [program, initScript, order, shellHook, runtimeHook, config, unit, wants, unitScript, rules]

    /// What goes into an image besides the program.
    /// - Parameter order: the ORDER that it is to have, or with mkinitcpio the /config; for these two alone.
    static func items(_ flavour: Flavour, order orderText: [UInt8]) -> [Item] {
        let rulesItem = Item(path: rules, permissions: 0o644, content: embedded(pv_udev_rules))
        switch flavour {
        case .initramfsTools:
            return [
                Item(path: initScript, permissions: 0o755, content: embedded(pv_init_top_script)),
                Item(path: order, permissions: 0o644, content: orderText), rulesItem,
            ]
        case .dracutShell:
            return [Item(path: shellHook, permissions: 0o644, content: embedded(pv_dracut_script)), rulesItem]
        case .mkinitcpio:
            return [
                Item(path: runtimeHook, permissions: 0o755, content: embedded(pv_mkinitcpio_hook)),
                Item(path: config, permissions: 0o644, content: orderText), rulesItem,
            ]
        case .systemd:
            return [
                Item(path: unitScript, permissions: 0o644, content: embedded(pv_dracut_script)),
                Item(path: unit, permissions: 0o644, content: embedded(pv_systemd_unit)),
                Item(path: wants, permissions: nil, content: Array("../pram-verify-boot.service".utf8)), rulesItem,
            ]
        }
    }

    /// The ORDER for an image whose own is not known.
    static var anyOrder: [UInt8] { embedded(pv_init_top_order) }
}

/// The text by which the program is found in an image: "pram-verify-marker:VERSION:ARCHITECTURE\n".
public enum ProgramMarker {
    public static var bytes: [UInt8] { embedded(pv_program_marker) }
    /// Up to the first colon, and with it.
    static var prefix: [UInt8] { Array(bytes.prefix { $0 != colon }) + [colon] }
    static let colon = UInt8(ascii: ":")

    /// Version and architecture of a marker whose prefix was found.
    /// - Parameter rest: what follows the prefix; nil where it is no marker, or is cut short.
    static func parse(_ rest: ArraySlice<UInt8>) -> (version: [UInt8], architecture: [UInt8])? {
        let version = rest.prefix { $0 >= 0x30 && $0 <= 0x39 || $0 == UInt8(ascii: ".") }
        let behind = rest.dropFirst(version.count)
        guard !version.isEmpty, version.count <= 16, behind.first == colon else { return nil }
        let architecture = behind.dropFirst().prefix { $0 != UInt8(ascii: "\n") && $0 > 0x20 && $0 < 0x7f }
        let end = behind.dropFirst(1 + architecture.count)
        guard !architecture.isEmpty, architecture.count <= 16, end.first == UInt8(ascii: "\n") else { return nil }
        return (Array(version), Array(architecture))
    }

    /// This program's own.
    public static var version: [UInt8] { parse(bytes.dropFirst(prefix.count))?.version ?? [] }
    /// The commit that it was built from, with a plus sign where files were changed since; empty where that is not known.
    public static var commit: [UInt8] { embedded(pv_commit) }
}

private func embedded(_ file: pv_embedded) -> [UInt8] {
    Array(UnsafeBufferPointer(start: file.bytes, count: file.count))
}
