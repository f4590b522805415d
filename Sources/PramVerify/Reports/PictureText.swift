import Linux
import MemoryPicture
import Text

/// A picture of memory for terminals and pipes.
struct PictureText {
    enum Style {
        /// Printable ASCII: a letter a block.
        case plain
        /// Blocks of different density, and letters: UTF-8 without colours.
        case shaded
        /// Coloured blocks (ISO 8613-6, the 256 colours of xterm), with letters in those that matter.
        case coloured
    }

    let style: Style
    /// How many a line has.
    let columns: Int

    /// More are of no use.
    static let widths = 1...1024
    /// Where there are fewer columns, rows of the legend are broken between words.
    private static let legendWidth = 36

    /// What suits where it goes.
    /// - NO_COLOR (no-color.org), if it is not empty, forbids colours; so does a terminal that is dumb.
    init(for output: Output) {
        let ofVariable = environment("COLUMNS").flatMap { decimalNumber($0[...]) }.map { Int(clamping: $0) }
        let known = output.columns ?? ofVariable.flatMap { $0 > 0 ? $0 : nil } ?? 80
        columns = min(max(known, PictureText.widths.lowerBound), PictureText.widths.upperBound)
        guard output.isTerminal else {
            style = .plain
            return
        }
        let terminal = environment("TERM") ?? []
        if environment("NO_COLOR") == nil && !terminal.isEmpty && !terminal.spell("dumb") {
            style = .coloured
        } else {
            style =
                PictureText.isUTF8(environment("LC_ALL") ?? environment("LC_CTYPE") ?? environment("LANG") ?? [])
                ? .shaded : .plain
        }
    }

    init(style: Style, columns: Int) {
        self.style = style
        self.columns = columns
    }

    /// Whether a locale's name says so: `de_DE.UTF-8`, `C.utf8` (locale(7)).
    static func isUTF8(_ locale: [UInt8]) -> Bool {
        guard let dot = locale.firstIndex(of: UInt8(ascii: ".")) else { return false }
        let codeset = locale[(dot + 1)...].prefix { $0 != UInt8(ascii: "@") }.filter { $0 != UInt8(ascii: "-") }
        return codeset.map { $0 | 0x20 }.spell("utf8")
    }

    /// How many blocks a line has.
    /// - Parameter end: the page after the last that is drawn.
    func blocks(upTo end: UInt64) -> Int {
        let room = columns - PictureText.labelWidth(end) - 1
        return room >= 16 ? room / 8 * 8 : max(room, 4)
    }

    private static func labelWidth(_ end: UInt64) -> Int { hexadecimal((end << 12) &- 1).utf8.count }

    // MARK: - Writing

    func write(_ picture: Picture, _ caption: PictureCaption, to output: Output) {
        let end = picture.parts.first?.strip.end ?? 0
        for part in picture.parts {
            let title: Phrase = "\(caption.title(part.name)): \(PictureCaption.scale(part.strip))"
            output.write("\n\(wrapped(title.text, columns))")
            write(part.strip, PictureText.labelWidth(end), blocks(upTo: end), output)
        }
        writeLegend(caption.background(picture), caption.chain(picture), picture, output)
        let lines = caption.sentences(picture)
        if !lines.isEmpty { output.write("\n") }
        // Names of files stay whole where there is room.
        for line in lines {
            if columns < 76 { output.write("\(wrapped(line, columns))") } else { output.write("\(line)\n") }
        }
    }

    private func write(_ strip: Strip, _ width: Int, _ blocks: Int, _ output: Output) {
        var cell = 0
        while cell < strip.cellCount {
            let label = hexadecimal(strip.pages(of: cell).lowerBound << 12)
            var line = [UInt8](repeating: UInt8(ascii: " "), count: max(0, width - label.utf8.count))
            line += Array(label.utf8) + [UInt8(ascii: " ")]
            var last: Content?
            for number in cell..<min(cell + blocks, strip.cellCount) {
                let content = strip.content(of: number)
                if style == .coloured && content != last { line += PictureText.colour(content) }
                line += mark(content)
                last = content
            }
            if style == .coloured { line += PictureText.escape("0") }
            while line.last == UInt8(ascii: " ") { line.removeLast() }
            output.write(line + [UInt8(ascii: "\n")])
            cell += blocks
        }
    }

    /// The background on the left and the chain on the right, or one below the other where it is narrow.
    private func writeLegend(
        _ background: [PictureCaption.Figure], _ chain: [PictureCaption.Figure], _ picture: Picture, _ output: Output
    ) {
        var left = background.map { row($0.content, $0.name, $0.figure) }
        if !left.isEmpty { left.append(row(nil, "in all", PictureCaption.size(picture.background.pages))) }
        var right = chain.map { row($0.content, $0.name, $0.figure) }
        if !right.isEmpty {
            right.append(row(nil, "in all", counted(Int(clamping: picture.chainPages), "page")))
        }
        output.write("\n")
        if columns < 76 {
            for line in left + right { output.write(line + [UInt8(ascii: "\n")]) }
            return
        }
        let gap = Array(padded("", 4).utf8)
        let blank = Array(padded("", 36).utf8)
        for number in 0..<max(left.count, right.count) {
            let start = number < left.count ? left[number] : blank
            output.write(start + (number < right.count ? gap + right[number] : []) + [UInt8(ascii: "\n")])
        }
    }

    /// 36 columns, or as many as there are.
    private func row(_ content: Content?, _ name: StaticString, _ figure: String) -> [UInt8] {
        var line: [UInt8]
        if let content {
            line =
                style == .coloured
                ? PictureText.colour(content) + mark(content) + PictureText.escape("0") : mark(content)
        } else {
            line = [UInt8(ascii: " ")]
        }
        if columns < PictureText.legendWidth {
            line += Array(" \(wrapped("\(name) \(figure)", columns, indent: 2))".utf8)
            return line.dropLast()
        }
        line += Array(" \(padded(name, 21))".utf8)
        line += [UInt8](repeating: UInt8(ascii: " "), count: max(0, 13 - figure.utf8.count))
        return line + Array(figure.utf8)
    }

    private func mark(_ content: Content) -> [UInt8] {
        switch (style, content) {
        case (.shaded, .device): [0xc2, 0xb7]  // a middle dot
        case (.shaded, .memory): [0xe2, 0x96, 0x91]  // a light shade
        case (.shaded, .reserved): [0xe2, 0x96, 0x92]  // a medium shade
        case (.shaded, .intact): [0xe2, 0x96, 0x88]  // a full block
        default: [content.letter]
        }
    }

    private static func escape(_ code: StaticString) -> [UInt8] {
        [0x1b, UInt8(ascii: "[")] + bytes(code) + [UInt8(ascii: "m")]
    }

    /// Letters that would only disturb have the colour of their background, so that they are there when the picture is copied.
    private static func colour(_ content: Content) -> [UInt8] {
        switch content {
        case .nothing: escape("0")
        case .device: escape("0;38;5;242;48;5;242")
        case .memory: escape("0;38;5;103;48;5;103")
        case .firmware: escape("0;38;5;16;48;5;144")
        case .persistent: escape("0;38;5;16;48;5;73")
        case .reserved: escape("0;38;5;68;48;5;68")
        case .kernel: escape("0;38;5;231;48;5;97")
        case .initrd: escape("0;38;5;231;48;5;132")
        case .crashKernel: escape("0;38;5;231;48;5;94")
        case .banned: escape("0;38;5;231;48;5;238")
        case .intact: escape("0;38;5;35;48;5;35")
        case .parity: escape("0;38;5;231;48;5;30")
        case .link: escape("0;38;5;231;48;5;22")
        case .unknown: escape("0;1;38;5;16;48;5;220")
        case .repairable: escape("0;1;38;5;16;48;5;208")
        case .damaged: escape("0;1;38;5;231;48;5;160")
        }
    }
}
