import MemoryPicture
import PRAM
import Text

extension Content {
    /// The letter that stands for it where there are no colours.
    var letter: UInt8 {
        switch self {
        case .nothing: UInt8(ascii: " ")
        case .device: UInt8(ascii: "-")
        case .memory: UInt8(ascii: ".")
        case .firmware: UInt8(ascii: "E")
        case .persistent: UInt8(ascii: "P")
        case .reserved: UInt8(ascii: ":")
        case .kernel: UInt8(ascii: "K")
        case .initrd: UInt8(ascii: "I")
        case .crashKernel: UInt8(ascii: "C")
        case .banned: UInt8(ascii: "B")
        case .intact: UInt8(ascii: "=")
        case .parity: UInt8(ascii: "p")
        case .link: UInt8(ascii: "L")
        case .unknown: UInt8(ascii: "?")
        case .repairable: UInt8(ascii: "+")
        case .damaged: UInt8(ascii: "X")
        }
    }

    /// One word for style sheets.
    var word: StaticString {
        switch self {
        case .nothing: "nothing"
        case .device: "device"
        case .memory: "memory"
        case .firmware: "firmware"
        case .persistent: "persistent"
        case .reserved: "reserved"
        case .kernel: "kernel"
        case .initrd: "initrd"
        case .crashKernel: "crash"
        case .banned: "banned"
        case .intact: "intact"
        case .parity: "parity"
        case .link: "link"
        case .unknown: "unknown"
        case .repairable: "repairable"
        case .damaged: "damaged"
        }
    }
}

/// What a picture of memory is to be explained with, in words for both ways to draw it.
struct PictureCaption {
    /// Whether the background is a machine's, and not only what a dump holds.
    let isMachines: Bool
    let names: [DrawnRanges.Named]
    /// Those of the chain.
    let files: [StoredFile]

    func name(_ content: Content) -> StaticString {
        switch content {
        case .nothing: "nothing"
        case .device: "devices and firmware"
        case .memory: isMachines ? "System RAM" : "held by the dump"
        case .firmware: "EFI and ACPI"
        case .persistent: "persistent memory"
        case .reserved: "reserved"
        case .kernel: "kernel"
        case .initrd: "initrd"
        case .crashKernel: "crash kernel"
        case .banned: "banned"
        case .intact: "intact"
        case .parity: "parity"
        case .link: "links"
        case .unknown: "not known"
        case .repairable: "lost, repairable"
        case .damaged: "damaged"
        }
    }

    /// A row of the legend.
    struct Figure {
        let content: Content
        let name: StaticString
        let figure: String
    }

    /// What there is of the background.
    func background(_ picture: Picture) -> [Figure] {
        Content.allCases.filter { !$0.isPage && picture.pages($0) > 0 }.map {
            Figure(content: $0, name: name($0), figure: PictureCaption.size(picture.pages($0)))
        }
    }

    /// What there is of the chain.
    func chain(_ picture: Picture) -> [Figure] {
        Content.allCases.filter { $0.isPage && picture.pages($0) > 0 }.map {
            Figure(content: $0, name: name($0), figure: counted(Int(clamping: picture.pages($0)), "page"))
        }
    }

    func title(_ name: Picture.Part.Name) -> StaticString {
        switch name {
        case .all: isMachines ? "All memory" : "The dump"
        case .range: "The reserved range"
        case .chain: "The chain"
        }
    }

    /// "0x1000-0x1fff"
    static func addresses(_ pages: Range<UInt64>) -> String {
        // An end of 2^52 pages is one of 2^64 bytes.
        Phrase("\(hexadecimal(pages.lowerBound << 12))-\(hexadecimal((pages.upperBound << 12) &- 1))").text
    }

    /// What so many pages take; all there can be are 2^64 bytes, which is said as a byte less.
    static func size(_ pages: UInt64) -> String { byteCount(pages < Stretch.pageLimit ? pages << 12 : .max) }

    /// "0x0-0x3ffffff, 64.0 MiB; a block is 64.0 KiB"
    static func scale(_ strip: Strip) -> String {
        let (size, cell) = (strip.end - strip.first, strip.pagesPerCell)
        let all = Phrase("\(addresses(strip.pages)), \(PictureCaption.size(size))")
        return (all + "; a block is \(PictureCaption.size(cell))").text
    }

    /// The name of a file of the chain, with what goes before it; empty where it is not known for certain.
    func inFile(_ number: Int?) -> String {
        guard let number, number >= 0, number < files.count, files[number].metaFits, !files[number].name.isEmpty else {
            return ""
        }
        let name = files[number].name
        return Phrase(", in \(escaped(name.prefix(64)))\(name.count > 64 ? "..." : "")").text
    }

    /// What is not as it should be, a line each.
    func sentences(_ picture: Picture) -> [String] {
        var lines = picture.examples.map { sentence($0) }
        let shown = picture.examples.reduce(0) { $0 &+ $1.count }
        let all = picture.pages(.damaged) &+ picture.pages(.repairable) &+ picture.pages(.unknown)
        if all > shown && shown > 0 {
            lines.append(Phrase("and \(counted(Int(clamping: all - shown), "page")) more").text)
        }
        if picture.outside > 0 {
            lines.append(Phrase("outside of what is drawn: \(counted(Int(clamping: picture.outside), "page"))").text)
        }
        return lines
    }

    /// "damaged: pages 0x123-0x127, in etc/hostname"
    private func sentence(_ example: Picture.Example) -> String {
        let what: StaticString = example.content == .damaged ? "damaged" : name(example.content)
        guard example.first < Stretch.pageLimit else {
            return Phrase("\(what): a page that does not exist\(inFile(example.file))").text
        }
        let first = hexadecimal(example.first)
        let pages: Phrase =
            example.count == 1
            ? "page \(first)" : "pages \(first)-\(hexadecimal(example.first &+ (example.count - 1)))"
        return Phrase("\(what): \(pages)\(inFile(example.file))").text
    }
}
