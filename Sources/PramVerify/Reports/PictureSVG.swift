import MemoryPicture
import Text

/// A picture of memory as an SVG of its own: no script, nothing from elsewhere, text as text, colours for light and for
/// dark pages (prefers-color-scheme), and titles that a pointer shows.
struct PictureSVG {
    /// How many a row has.
    static let blocks = 64
    private static let block = 13
    private static let left = 132
    private static let margin = 20
    static let width = left + blocks * block + margin

    private let picture: Picture
    private let caption: PictureCaption
    private var text: [UInt8] = []
    private let sink: ([UInt8]) -> Void
    private var y = 0

    /// - Parameters:
    ///   - headline: the verdict, and what was looked at.
    ///   - sink: gets the text in pieces.
    static func write(
        _ picture: Picture, _ caption: PictureCaption, headline: String, subtitle: String,
        sink: @escaping ([UInt8]) -> Void
    ) {
        var svg = PictureSVG(picture, caption, sink)
        svg.write(headline, subtitle)
        svg.flush()
    }

    private init(_ picture: Picture, _ caption: PictureCaption, _ sink: @escaping ([UInt8]) -> Void) {
        self.picture = picture
        self.caption = caption
        self.sink = sink
    }

    // MARK: - Pieces

    private mutating func flush() {
        sink(text)
        text.removeAll(keepingCapacity: true)
    }

    private mutating func put(_ piece: Phrase) {
        text.append(contentsOf: piece.text.utf8)
        if text.count >= 1 << 16 { flush() }
    }

    /// What is printable ASCII already, with what XML has a use for replaced.
    static func xml(_ text: String) -> String {
        var out: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "&"): out += bytes("&amp;")
            case UInt8(ascii: "<"): out += bytes("&lt;")
            case UInt8(ascii: ">"): out += bytes("&gt;")
            case UInt8(ascii: "\""): out += bytes("&quot;")
            case UInt8(ascii: "'"): out += bytes("&apos;")
            default: out.append(byte)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    // MARK: - The whole

    private mutating func write(_ headline: String, _ subtitle: String) {
        let (background, chain) = (caption.background(picture), caption.chain(picture))
        let lines = caption.sentences(picture)
        // The background on the left; on the right the chain, and below it where it is damaged.
        let legend = max(
            (background.count + 1) * 20, (chain.count + 1) * 20 + (lines.isEmpty ? 0 : 16 + lines.count * 18))
        let parts = picture.parts.reduce(0) { $0 + 58 + PictureSVG.rowCount($1.strip) * (PictureSVG.block + 1) }
        let height = 76 + parts + 20 + legend + 12
        let (width, name) = (PictureSVG.width, PictureSVG.xml(headline))
        put("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(width) \(height)\" width=\"\(width)\" ")
        put("height=\"\(height)\" role=\"img\">\n<title>\(name)</title>\n")
        put("<style>\n")
        text += bytes(PictureStyle.sheet)
        put("</style>\n<rect class=\"page\" width=\"\(width)\" height=\"\(height)\"/>\n")
        put("<text class=\"head\" x=\"\(PictureSVG.margin)\" y=\"38\">\(name)</text>\n")
        put("<text class=\"soft\" x=\"\(PictureSVG.margin)\" y=\"60\">\(PictureSVG.xml(subtitle))</text>\n")
        y = 76
        for (number, part) in picture.parts.enumerated() {
            let next = number + 1 < picture.parts.count ? picture.parts[number + 1].strip.pages : nil
            write(part, outlining: next)
        }
        y += 20
        writeLegend(background, PictureSVG.margin, PictureCaption.size(picture.background.pages))
        let pages = counted(Int(clamping: picture.chainPages), "page")
        let middle = PictureSVG.width / 2 + 8
        writeLegend(chain, middle, pages)
        y += (chain.count + 1) * 20 + 24
        for line in lines {
            put("<text class=\"soft\" x=\"\(middle)\" y=\"\(y)\">\(PictureSVG.xml(line))</text>\n")
            y += 18
        }
        put("</svg>\n")
    }

    private static func rowCount(_ strip: Strip) -> Int { (strip.cellCount + blocks - 1) / blocks }

    // MARK: - A part

    private mutating func write(_ part: Picture.Part, outlining next: Range<UInt64>?) {
        let strip = part.strip
        let title = PictureSVG.xml("\(caption.title(part.name))")
        put("<text class=\"part\" x=\"\(PictureSVG.margin)\" y=\"\(y + 28)\">\(title)</text>\n")
        put("<text class=\"soft\" x=\"\(PictureSVG.width - PictureSVG.margin)\" y=\"\(y + 28)\" text-anchor=\"end\">")
        put("\(PictureSVG.xml(PictureCaption.scale(strip)))</text>\n")
        y += 40
        let top = y
        var marks: [(cell: Int, content: Content)] = []
        for row in 0..<PictureSVG.rowCount(strip) {
            let first = row * PictureSVG.blocks
            let address = hexadecimal(strip.pages(of: first).lowerBound << 12)
            put("<text class=\"address\" x=\"\(PictureSVG.left - 10)\" y=\"\(y + 10)\" text-anchor=\"end\">")
            put("\(address)</text>\n")
            writeRow(strip, first..<min(first + PictureSVG.blocks, strip.cellCount), &marks)
            y += PictureSVG.block + 1
        }
        writeMarks(marks, top)
        writeGrid(strip, top)
        if let next { writeOutline(strip, next, top) }
        y += 18
    }

    private mutating func writeRow(_ strip: Strip, _ cells: Range<Int>, _ marks: inout [(cell: Int, content: Content)])
    {
        var start = cells.lowerBound
        while start < cells.upperBound {
            var end = start + 1
            while end < cells.upperBound, strip.areAlike(start, end) { end += 1 }
            let content = strip.content(of: start)
            for cell in start..<end where content >= .unknown { marks.append((cell, content)) }
            let (x, width) = (place(start), (end - start) * PictureSVG.block)
            if content != .nothing {
                put("<rect class=\"\(content.word)\" x=\"\(x)\" y=\"\(y)\" width=\"\(width)\" ")
                put(
                    "height=\"\(PictureSVG.block)\"><title>\(PictureSVG.xml(title(strip, start..<end)))</title></rect>\n"
                )
            } else {
                put(
                    "<rect class=\"nothing\" x=\"\(x)\" y=\"\(y)\" width=\"\(width)\" height=\"\(PictureSVG.block)\"/>\n"
                )
            }
            start = end
        }
    }

    private func place(_ cell: Int) -> Int { PictureSVG.left + cell % PictureSVG.blocks * PictureSVG.block }

    /// What a pointer is shown over these cells, which are alike.
    private func title(_ strip: Strip, _ cells: Range<Int>) -> String {
        let first = strip.pages(of: cells.lowerBound)
        let pages = first.lowerBound..<first.lowerBound + UInt64(cells.count) * strip.pagesPerCell
        let size = PictureCaption.size(pages.upperBound - pages.lowerBound)
        var title: Phrase = "\(PictureCaption.addresses(pages)) (\(size))"
        var separator: StaticString = ": "
        for kind in Content.allCases.reversed() where kind.isPage {
            let count = strip.count(kind, in: cells.lowerBound)
            guard count > 0 else { continue }
            title = title + "\(separator)\(count) \(caption.name(kind))"
            separator = ", "
        }
        if separator.utf8CodeUnitCount == 2 && strip.content(of: cells.lowerBound).isPage {
            title = title + (cells.count > 1 ? " in each block" : "")
        }
        title = title + Phrase(caption.inFile(strip.file(in: cells.lowerBound)))
        let background = strip.background(of: cells.lowerBound)
        if background != .nothing { title = title + "; \(caption.name(background))" }
        return (title + names(pages)).text
    }

    /// " [PCI Bus 0000:00, Kernel code]": what /proc/iomem calls the first of what lies there.
    private func names(_ pages: Range<UInt64>) -> Phrase {
        var text: Phrase = ""
        var shown = 0
        for named in caption.names where named.pages.first < pages.upperBound && named.pages.end > pages.lowerBound {
            if shown == 4 { return text + " ...]" }
            text = text + (shown == 0 ? " [" : ", ") + Phrase(escaped(named.name.prefix(48)))
            shown += 1
        }
        return shown == 0 ? text : text + "]"
    }

    /// Colours are not all that tells what matters: a cross, a plus, a stroke.
    private mutating func writeMarks(_ marks: [(cell: Int, content: Content)], _ top: Int) {
        for kind: Content in [.damaged, .repairable, .unknown] where marks.contains(where: { $0.content == kind }) {
            put("<path class=\"mark\" d=\"")
            for mark in marks where mark.content == kind {
                let x = place(mark.cell)
                let y = top + mark.cell / PictureSVG.blocks * (PictureSVG.block + 1)
                put(PictureSVG.stroke(kind, x, y))
            }
            put("\"/>\n")
        }
    }

    private static func stroke(_ content: Content, _ x: Int, _ y: Int) -> Phrase {
        switch content {
        case .damaged: "M\(x + 3) \(y + 3)l7 7m0 -7l-7 7"
        case .repairable: "M\(x + 3) \(y + 6)h7M\(x + 6) \(y + 3)v7"
        default: "M\(x + 3) \(y + 10)l7 -7"
        }
    }

    /// Lines between the blocks.
    private mutating func writeGrid(_ strip: Strip, _ top: Int) {
        let rows = PictureSVG.rowCount(strip)
        put("<path class=\"grid\" d=\"")
        for column in 1..<PictureSVG.blocks {
            let full = strip.cellCount - (rows - 1) * PictureSVG.blocks >= column ? rows : rows - 1
            guard full > 0 else { continue }
            put("M\(PictureSVG.left + column * PictureSVG.block) \(top)v\(full * (PictureSVG.block + 1) - 1)")
        }
        put("\"/>\n")
    }

    /// Around the cells that the next part shows larger.
    private mutating func writeOutline(_ strip: Strip, _ next: Range<UInt64>, _ top: Int) {
        let (low, high) = (max(next.lowerBound, strip.first), min(next.upperBound, strip.end))
        guard low < high, let start = strip.cell(of: low), let last = strip.cell(of: high - 1) else { return }
        for row in start / PictureSVG.blocks...last / PictureSVG.blocks {
            let first = max(start, row * PictureSVG.blocks)
            let end = min(last, row * PictureSVG.blocks + PictureSVG.blocks - 1)
            put("<rect class=\"frame\" x=\"\(place(first) - 1)\" y=\"\(top + row * (PictureSVG.block + 1) - 1)\" ")
            put("width=\"\((end - first + 1) * PictureSVG.block + 1)\" height=\"\(PictureSVG.block + 2)\"/>\n")
        }
    }

    // MARK: - Legend

    private mutating func writeLegend(_ rows: [PictureCaption.Figure], _ x: Int, _ sum: String) {
        guard !rows.isEmpty else { return }
        let right = x + PictureSVG.width / 2 - PictureSVG.margin - 8 - (x < PictureSVG.width / 2 ? 36 : 0)
        for (number, row) in rows.enumerated() {
            let top = y + number * 20
            put("<rect class=\"\(row.content.word)\" x=\"\(x)\" y=\"\(top)\" width=\"13\" height=\"13\"/>")
            if row.content >= .unknown {
                put("<path class=\"mark\" d=\"\(PictureSVG.stroke(row.content, x, top))\"/>")
            }
            writeRow("\(row.name)", row.figure, x, right, top + 11, "word")
        }
        writeRow("in all", sum, x, right, y + rows.count * 20 + 11, "soft")
    }

    private mutating func writeRow(
        _ name: String, _ figure: String, _ x: Int, _ right: Int, _ y: Int, _ style: StaticString
    ) {
        put("<text class=\"\(style)\" x=\"\(x + 22)\" y=\"\(y)\">\(PictureSVG.xml(name))</text>")
        put("<text class=\"\(style)\" x=\"\(right)\" y=\"\(y)\" text-anchor=\"end\">\(PictureSVG.xml(figure))</text>\n")
    }
}
