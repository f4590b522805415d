/// Every option that a command can declare: the one table behind parsing, --help, and the checks of the documents.
enum Option: Int, CaseIterable {
    case memory, base, raw, unpackLimit, pfn, cmdline, cmdlineFile
    case json, linksOnly, timeout, threads, damaged, force, preserveMode
    case region, device, size, replace, erase, dryRun, keepHoles, refit, salvage, cut
    case parity, partial, repair, noRepair, all
    case from, append, remove, kexecOptions, kexecFile, kexecLoad, checkLoaded
    case withoutChain, ifChain
    case kho, early, again, kernel
    case flat, oneFileSystem, exclude, strict, stdin, stdout
    case resume
    case root, result, noLoad
    case long, segments, config, flavour, compress, output, directory, devices
    case svg
    case help, version

    var name: StaticString { row.name }
    /// The letter that means the same behind one dash.
    var letter: UInt8? {
        switch self {
        case .help: UInt8(ascii: "h")
        case .long: UInt8(ascii: "l")
        case .output: UInt8(ascii: "o")
        case .directory: UInt8(ascii: "d")
        default: nil
        }
    }
    /// The word that stands for the argument; nil when there is none.
    var argument: StaticString? { row.argument }
    var summary: StaticString { row.summary }
    /// An empty argument can be no file's name, and would be taken for something else.
    var namesFile: Bool {
        switch self {
        case .memory, .cmdlineFile, .root, .svg, .from, .kernel, .config, .output, .directory: true
        default: false
        }
    }

    private var row: (name: StaticString, argument: StaticString?, summary: StaticString) {
        switch self {
        case .memory: ("memory", "auto|PATH", "this machine's memory (auto), or a dump of one")
        case .base: ("base", "ADDRESS", "the physical address of a raw image's first byte (0)")
        case .raw: ("raw", nil, "take the dump for a raw image, whatever its first bytes look like")
        case .unpackLimit: ("unpack-limit", "BYTES", "how much a packed dump (1T) or initrd (768M) may unpack to")
        case .pfn: ("pfn", "HEX", "the head of the chain, a page frame number")
        case .cmdline: ("cmdline", "TEXT", "a kernel command line; pram= on it names the head")
        case .cmdlineFile: ("cmdline-file", "FILE", "a file that holds such a line (/proc/cmdline)")
        case .json: ("json", nil, "write the report as JSON")
        case .linksOnly: ("links-only", nil, "look at links only; nothing is called intact then")
        case .timeout: ("timeout", "SECONDS", "how long the check may take; what was not checked is indeterminate")
        case .threads: ("threads", "N", "how many threads verify pages (all processors)")
        case .damaged: ("damaged", nil, "damaged files too, bad pages as holes")
        case .force: ("force", nil, "replace files that exist; save: a file system on the device")
        case .preserveMode: ("preserve-mode", nil, "keep suid, sgid and sticky bits")
        case .region: ("region", "START+SIZE", "the reserved range to write, where there are several")
        case .device: ("device", "PATH|PARTUUID=ID|PARTLABEL=NAME", "a pmem device to write instead")
        case .size: ("size", "BYTES", "how large: an image, a range to propose, a canary")
        case .replace: ("replace", nil, "save over the chain that the range holds")
        case .erase: ("erase", nil, "clear the head once every file was restored")
        case .dryRun: ("dry-run", nil, "show what would be done, and do nothing")
        case .keepHoles: ("keep-holes", nil, "keep damaged files too, bad pages as holes, marked")
        case .refit: ("refit", nil, "make every link fit again as a kernel wants it, and drop nothing")
        case .salvage: ("salvage", nil, "keep what cannot prove that it belongs to the chain, marked")
        case .cut: ("cut", nil, "drop what cannot prove that it belongs to the chain")
        case .parity: ("parity", "PERCENT", "parity pages for 100 pages, 0 to 50 (5)")
        case .partial:
            ("partial", nil, "repair: what comes back, where not all does; load: what is intact, beside older files")
        case .repair: ("repair", nil, "rebuild lost pages on the way; memory stays as it is")
        case .noRepair: ("no-repair", nil, "do not try to bring back what is lost first")
        case .all: ("all", nil, "the file that holds parity, too")
        case .from: ("from", "FILE", "a file with the line to start from (/proc/cmdline)")
        case .append: ("append", "TEXT", "put in parameters; may be repeated")
        case .remove: ("remove", "NAME", "take out the parameters of this name; may be repeated")
        case .kexecOptions: ("kexec-options", nil, "print what kexec is to be called with, so that the chain lives")
        case .kexecFile: ("kexec-file", nil, "kexec_file_load will be used (kexec -s)")
        case .kexecLoad: ("kexec-load", nil, "kexec_load will be used (kexec -c)")
        case .checkLoaded: ("check-loaded", nil, "see that a kernel is loaded, and check the chain once more")
        case .withoutChain: ("without-chain", nil, "load the kernel also where a chain cannot be handed on")
        case .ifChain: ("if-chain", nil, "load nothing where there is no chain to hand on")
        case .kho: ("kho", nil, "into memory that the kernel itself hands over")
        case .early: ("early", nil, "only the head's page, now, for the chain that is saved later")
        case .again: ("again", nil, "hand on once more the chain that arrived so")
        case .kernel: ("kernel", "FILE", "the next kernel, to see whether it takes what this one hands over")
        case .flat: ("flat", nil, "files as the chain has them, of one directory")
        case .oneFileSystem: ("one-file-system", nil, "do not enter what something else is mounted on")
        case .exclude: ("exclude", "GLOB", "leave out what matches and all below; repeatable")
        case .strict: ("strict", nil, "whatever would be left out is an error")
        case .stdin: ("stdin", "NAME", "save standard input too, as the file NAME")
        case .stdout: ("stdout", "NAME", "write this one file to standard output")
        case .resume: ("resume", "DEVICE", "say whether a hibernated system waits on the device, and nothing else")
        case .result: ("result", nil, "say what became of the last rehearsal, with --json as JSON")
        case .noLoad: ("no-load", nil, "load no kernel, and say how to")
        case .root:
            ("root", "DIR", "another machine's files instead: a mounted disk, an unpacked sosreport or supportconfig")
        case .long: ("long", nil, "with permissions, owners, sizes and times, as ls -l")
        case .segments: ("segments", nil, "the parts of the image instead: where they lie and how they are packed")
        case .config: ("config", "FILE", "the kernel's configuration, to see whether it can unpack the image")
        case .flavour:
            ("flavour", "initramfs-tools|dracut-shell|mkinitcpio|systemd", "what starts the helper in the image")
        case .compress: ("compress", "gzip", "pack the archive")
        case .output: ("output", "FILE", "write the new image here, and leave the old one alone")
        case .directory: ("directory", "DIR", "everything, below a directory that is new or empty")
        case .devices: ("devices", nil, "make devices, FIFOs and sockets too; as root")
        case .svg: ("svg", "FILE", "write the picture as SVG, too; - is standard output, without the other one")
        case .help: ("help", nil, "show this help")
        case .version: ("version", nil, "show version, commit and build mode")
        }
    }
}
