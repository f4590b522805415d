/// Every option that a command can declare: the one table behind parsing, --help, and the checks of the documents.
enum Option: Int, CaseIterable {
    case memory, base, raw, unpackLimit, pfn, cmdline, cmdlineFile
    case json, linksOnly, threads, damaged, force, preserveMode
    case region, device, size, replace, erase, dryRun, keepHoles, refit, salvage, cut
    case from, append, remove, kexecOptions, kexecFile, kexecLoad, checkLoaded
    case flat, oneFileSystem, exclude, strict, stdin, stdout, devices
    case resume
    case help, version

    var name: StaticString { row.name }
    /// The word that stands for the argument; nil when there is none.
    var argument: StaticString? { row.argument }
    var summary: StaticString { row.summary }

    private var row: (name: StaticString, argument: StaticString?, summary: StaticString) {
        switch self {
        case .memory: ("memory", "auto|PATH", "the memory to look at: this machine's (auto), or a dump")
        case .base: ("base", "ADDRESS", "the physical address of a raw image's first byte (0)")
        case .raw: ("raw", nil, "take the dump for a raw image, whatever its first bytes look like")
        case .unpackLimit: ("unpack-limit", "BYTES", "how much a compressed dump may unpack to (1T)")
        case .pfn: ("pfn", "HEX", "the head of the chain, a page frame number")
        case .cmdline: ("cmdline", "TEXT", "a kernel command line with pram= on it")
        case .cmdlineFile: ("cmdline-file", "FILE", "a file that holds such a line (/proc/cmdline)")
        case .json: ("json", nil, "write the report as JSON")
        case .linksOnly: ("links-only", nil, "look at links only; nothing is called intact then")
        case .threads: ("threads", "N", "how many threads verify pages (all processors)")
        case .damaged: ("damaged", nil, "damaged files too, bad pages as holes")
        case .force: ("force", nil, "replace files that exist; save: a file system on the device")
        case .preserveMode: ("preserve-mode", nil, "keep suid, sgid and sticky bits")
        case .region: ("region", "START+SIZE", "the reserved range to write, where there are several")
        case .device: ("device", "PATH|PARTUUID=ID|PARTLABEL=NAME", "a pmem device to write instead")
        case .size: ("size", "BYTES", "make the image at least this large, and make it where there is none")
        case .replace: ("replace", nil, "save over the chain that the range holds")
        case .erase: ("erase", nil, "clear the head once every file was restored")
        case .dryRun: ("dry-run", nil, "show what would be done, and do nothing")
        case .keepHoles: ("keep-holes", nil, "keep damaged files too, bad pages as holes, marked")
        case .refit: ("refit", nil, "make every link fit again as a kernel wants it, and drop nothing")
        case .salvage: ("salvage", nil, "keep what cannot prove that it belongs to the chain, marked")
        case .cut: ("cut", nil, "drop what cannot prove that it belongs to the chain")
        case .from: ("from", "FILE", "a file with the line to start from (/proc/cmdline)")
        case .append: ("append", "TEXT", "put in parameters; may be repeated")
        case .remove: ("remove", "NAME", "take out the parameters of this name; may be repeated")
        case .kexecOptions: ("kexec-options", nil, "print what kexec is to be called with, so that the chain lives")
        case .kexecFile: ("kexec-file", nil, "kexec_file_load will be used (kexec -s)")
        case .kexecLoad: ("kexec-load", nil, "kexec_load will be used (kexec -c)")
        case .checkLoaded: ("check-loaded", nil, "see that a kernel is loaded, and check the chain once more")
        case .flat: ("flat", nil, "regular files of the top directory alone, as the chain has them")
        case .oneFileSystem: ("one-file-system", nil, "do not enter directories that something is mounted on")
        case .exclude: ("exclude", "GLOB", "leave out what matches, with all below it; may be repeated")
        case .strict: ("strict", nil, "whatever would be left out is an error")
        case .stdin: ("stdin", "NAME", "save standard input too, as the file NAME")
        case .stdout: ("stdout", "NAME", "write this one file to standard output")
        case .devices: ("devices", nil, "make device nodes too")
        case .resume: ("resume", "DEVICE", "say whether a hibernated system waits on the device, and nothing else")
        case .help: ("help", nil, "show this help")
        case .version: ("version", nil, "show the version")
        }
    }
}
