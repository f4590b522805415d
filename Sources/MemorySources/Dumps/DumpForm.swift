import Compression
import Text

/// What a file is by its first bytes: the one table of all forms, those that are read and those that are not. A file of
/// a form that is not read holds its memory in another shape, if any: to look for a chain in it as in a raw image would
/// give the answer that there is none, and that would be false.
struct DumpForm {
    /// What takes the file apart.
    enum Reader {
        case packed(Wrapping), flattened, kdump, elf, lime
        /// Nothing here does.
        case none
    }

    /// With its article, as in "it is a ...".
    let name: StaticString
    let reader: Reader
    /// What makes memory that can be read out of it; for forms that are not read.
    let remedy: StaticString

    /// How many bytes from the start are looked at.
    static let beginning = 4096

    /// nil when the bytes tell nothing: a raw image, or an empty file.
    init?(_ start: Bytes) {
        if let wrapping = (start.bytes.withUnsafeBytes { Wrapping(recognising: $0) }) {
            self.init(wrapping.name, .packed(wrapping))
            return
        }
        for row in DumpForm.table where row.parts.allSatisfy({ start.holds($0.bytes, at: $0.offset) }) {
            self = row.form
            return
        }
        guard start.count > 2, start.bytes[0] == 0x78, start.bytes.withUnsafeBytes({ beginsZlibStream($0) }) else {
            return nil
        }
        self.init("zlib data (a LiME image made with compress=1 is that)", .none, "inflate it first, with pigz -dz")
    }

    private init(_ name: StaticString, _ reader: Reader, _ remedy: StaticString = "") {
        self.name = name
        self.reader = reader
        self.remedy = remedy
    }

    private struct Row {
        let parts: [(offset: Int, bytes: [UInt8])]
        let form: DumpForm

        init(_ magic: StaticString, _ reader: Reader, _ name: StaticString, _ remedy: StaticString = "") {
            self.init(at: 0, Text.bytes(magic), name, remedy, reader)
        }

        init(
            at offset: Int = 0, _ magic: [UInt8], _ name: StaticString, _ remedy: StaticString, _ reader: Reader = .none
        ) {
            parts = [(offset, magic)]
            form = DumpForm(name, reader, remedy)
        }

        init(_ parts: [(Int, [UInt8])], _ name: StaticString, _ remedy: StaticString) {
            self.parts = parts.map { (offset: $0.0, bytes: $0.1) }
            form = DumpForm(name, .none, remedy)
        }
    }

    private static let table: [Row] = dumps + machines + evidence + disks + archives

    /// Sources: makedumpfile's diskdump_mod.h, sadump_mod.h and makedumpfile.h; LKCD's dump.h; AVML's image.rs; the
    /// headers of Windows' dumps as Volatility and the WDK describe them.
    private static let dumps = [
        Row(FlattenedDump.signature, .flattened, "a flattened dump"),
        Row("KDUMP   ", .kdump, "a kdump-compressed dump"),
        Row(
            "DISKDUMP", .none, "a diskdump file",
            "convert it with makedumpfile -c"),
        Row("\u{7f}ELF", .elf, "an ELF file"),
        Row("EMiL", .lime, "a LiME image"),
        Row("AVML", .none, "an AVML image whose ranges are compressed with snappy", "convert it with avml-convert"),
        Row("sadump\0\0", .none, "a dump of a server's firmware (sadump)", "convert it with makedumpfile -c"),
        Row([0xed, 0x23, 0x8f, 0x61, 0x73, 0x01, 0x19, 0xa8], "an LKCD dump", "read it with crash or lcrash"),
        Row("PAGEDUMP", .none, "a Windows crash dump", "write its memory out with Volatility's layerwriter"),
        Row("PAGEDU64", .none, "a Windows crash dump", "write its memory out with Volatility's layerwriter"),
        Row("MDMP", .none, "a Windows minidump", "it is the dump of a process, not of a machine"),
        Row("hibr", .none, "a Windows hibernation file", "write its memory out with Volatility's layerwriter"),
        Row("HIBR", .none, "a Windows hibernation file", "write its memory out with Volatility's layerwriter"),
        Row("wake", .none, "a Windows hibernation file", "write its memory out with Volatility's layerwriter"),
        Row("WAKE", .none, "a Windows hibernation file", "write its memory out with Volatility's layerwriter"),
        Row("RSTR", .none, "a Windows hibernation file", "write its memory out with Volatility's layerwriter"),
        Row([0xcf, 0xfa, 0xed, 0xfe], "a Mach-O file", "a dump of Linux is an ELF core, take one of those"),
    ]

    /// States of virtual machines. Sources: libvirt's qemu_saveimage.h, QEMU's migration/savevm.c, vmss2core and
    /// Volatility's vmware layer, VirtualBox's SSM.cpp, Xen's libxl_types_internal and xg_sr_stream_format.h, Proxmox's
    /// vma_spec.txt.
    private static let machines = [
        Row(
            "LibvirtQemudSave", .none, "a virtual machine saved by libvirt",
            "start it from that file and take its memory with virsh dump --memory-only"),
        Row(
            "LibvirtQemudPart", .none, "a virtual machine that libvirt did not finish to save",
            "take its memory with virsh dump --memory-only"),
        Row(
            "QEVM", .none, "a migration stream of QEMU",
            "let QEMU take it in (-incoming) and write the memory with dump-guest-memory or pmemsave"),
        Row([0xd0, 0xbe, 0xd2, 0xbe], "a virtual machine saved by VMware", vmware),
        Row([0xd1, 0xba, 0xd1, 0xba], "a virtual machine saved by VMware", vmware),
        Row([0xd2, 0xbe, 0xd2, 0xbe], "a virtual machine saved by VMware", vmware),
        Row([0xd3, 0xbe, 0xd3, 0xbe], "a virtual machine saved by VMware", vmware),
        Row(
            "\u{7f}VirtualBox SavedState", .none, "a virtual machine saved by VirtualBox",
            "start it and take its memory with VBoxManage debugvm NAME dumpvmcore"),
        Row("Xen saved domain", .none, "a domain saved by Xen", "restore it and take its memory with xl dump-core"),
        Row("LinuxGuestRecord", .none, "a domain saved by Xen", "restore it and take its memory with xl dump-core"),
        Row(
            [(0, [UInt8](repeating: 0xff, count: 8)), (8, [0x58, 0x45, 0x4e, 0x46])], "a migration stream of Xen",
            "restore it and take its memory with xl dump-core"),
        Row("VMA\0", .none, "a backup of a virtual machine by Proxmox", "unpack it with vma extract"),
    ]

    private static let vmware: StaticString =
        "name the .vmem file that belongs to it, or convert it to an ELF core with vmss2core -N6"

    /// Sources: libewf's documentation of EWF and EWF2, the AFF4 standard (a ZIP archive).
    private static let evidence = [
        Row([0x45, 0x56, 0x46, 0x09, 0x0d, 0x0a, 0xff, 0], "an EWF image (E01)", ewf),
        Row([0x4c, 0x56, 0x46, 0x09, 0x0d, 0x0a, 0xff, 0], "an EWF image (L01)", ewf),
        Row([0x45, 0x56, 0x46, 0x32, 0x0d, 0x0a, 0x81, 0], "an EWF image (Ex01)", ewf),
        Row([0x4c, 0x45, 0x46, 0x32, 0x0d, 0x0a, 0x81, 0], "an EWF image (Lx01)", ewf),
        Row("AFF10\r\n\0", .none, "an AFF image", "convert it with affconvert -r"),
    ]

    private static let ewf: StaticString = "make a raw image of it with ewfexport -f raw"

    /// Images of disks, in which no memory lies, or as bytes of a disk. Sources: QEMU's block drivers and their
    /// documentation, the VHD and VHDX specifications, mkswap.
    private static let disks = [
        Row([0x51, 0x46, 0x49, 0xfb], "a QCOW image", disk), Row("QED\0", .none, "a QED image", disk),
        Row("KDMV", .none, "a VMDK image", disk), Row("COWD", .none, "a VMDK image", disk),
        Row("# Disk DescriptorFile", .none, "the description of a VMDK image", disk),
        Row("vhdxfile", .none, "a VHDX image", disk), Row("conectix", .none, "a VHD image", disk),
        Row(at: 64, [0x7f, 0x10, 0xda, 0xbe], "a VDI image", disk),
        Row("WithoutFreeSpace", .none, "a Parallels image", disk),
        Row("WithouFreSpacExt", .none, "a Parallels image", disk),
        Row(at: 4086, bytes("SWAPSPACE2"), "swap space", "a chain lies in memory, not in swap space"),
        Row(at: 4086, bytes("S1SUSPEND"), "swap space with a hibernated system", "resume that system"),
    ]

    private static let disk: StaticString =
        "make a raw image with qemu-img convert -O raw, or take a virtual machine's memory with dump-guest-memory"

    /// Sources: the formats' own descriptions, and file(1)'s database.
    private static let archives = [
        Row("PK\u{3}\u{4}", .none, "a ZIP archive (an AFF4 image is one, too)", "unpack it, AFF4 with aff4imager"),
        Row("PK\u{5}\u{6}", .none, "an empty ZIP archive", "name another file"),
        Row("PK\u{7}\u{8}", .none, "a part of a ZIP archive", "unpack it first"),
        Row(at: 257, bytes("ustar"), "a tar archive", "unpack it with tar -x"),
        Row([0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c], "a 7z archive", "unpack it with 7z x"),
        Row("Rar!\u{1a}\u{7}", .none, "a RAR archive", "unpack it with unrar x"),
        Row([0x04, 0x22, 0x4d, 0x18], "lz4 data", "unpack it with lz4 -d"),
        Row([0x02, 0x21, 0x4c, 0x18], "lz4 data", "unpack it with lz4 -d"),
        Row([0x89, 0x4c, 0x5a, 0x4f], "lzop data", "unpack it with lzop -d"),
        Row("BZh", .none, "bzip2 data", "unpack it with bzip2 -d"),
        Row("LZIP", .none, "lzip data", "unpack it with lzip -d"),
        Row("LRZI", .none, "lrzip data", "unpack it with lrzip -d"),
        Row([0x1f, 0x9d], "data packed by compress", "unpack it with gzip -d"),
        Row(
            [(0, [0x5d, 0, 0]), (5, [UInt8](repeating: 0xff, count: 8))], "lzma data", "unpack it with xz -d -F lzma"),
        Row(
            [0xff, 0x06, 0, 0, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59], "framed snappy data", "unpack it with snzip -d"),
    ]
}

extension Bytes {
    fileprivate func holds(_ magic: [UInt8], at offset: Int) -> Bool {
        count >= offset + magic.count && bytes[offset..<offset + magic.count].elementsEqual(magic)
    }
}
