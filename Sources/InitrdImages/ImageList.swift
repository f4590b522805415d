import Initrd
import Linux
import Text

/// How the content of an image is printed.
public enum ListForm: Sendable {
    /// One path a line.
    case paths
    /// As ls -l does.
    case long
    /// One segment a line.
    case segments
}

/// Prints what is in an image, while it is read: however many files there are, none is kept.
public final class ImageList: ImageVisitor {
    private let form: ListForm
    private let sink: ([UInt8]) -> Void
    private var line: [UInt8] = []

    private let image: [UInt8]

    private init(_ form: ListForm, _ image: [UInt8], _ sink: @escaping ([UInt8]) -> Void) {
        self.form = form
        self.image = image
        self.sink = sink
    }

    /// - Parameter sink: takes the text, in pieces.
    /// - Throws: where the image cannot be read on, or a segment is not looked into; what is before has been printed.
    public static func write(
        _ image: ImageFile, _ form: ListForm, limits: ImageLimits = ImageLimits(), to sink: @escaping ([UInt8]) -> Void
    ) throws(ImageFailure) {
        let list = ImageList(form, image.path, sink)
        if form == .segments { list.sections(of: image) }
        var failure: ImageFailure?
        do throws(ImageFailure) { try ImageWalk(image, limits, verifyingChecksums: true).run(list) } catch {
            failure = error
        }
        sink(list.line)
        if let failure { throw failure }
    }

    public func record(_ record: NewcRecord, in segment: Segment) -> Bool {
        switch form {
        case .paths:
            appendEscaped(record.name)
            endLine()
        case .long:
            appendLongLine(record, to: &line)
            endLine()
        case .segments: break
        }
        return false
    }

    public func end(_ segment: Segment) throws(ImageFailure) {
        // The list of segments says itself that one was not looked into.
        guard form == .segments else { return try segment.requireUnpacked(image) }
        append(number: segment.offset, width: 12)
        append(number: segment.length, width: 12)
        line.append(UInt8(ascii: " "))
        line += padded(bytes(of: segment.format.name), to: 9)
        if segment.isUnpacked {
            append(number: segment.unpackedLength, width: 12)
            append(number: segment.records, width: 8)
        } else {
            line += Array("           -       -".utf8)
        }
        if !segment.section.isEmpty {
            line.append(UInt8(ascii: " "))
            appendEscaped(segment.section)
        }
        if segment.isEarly { line += Array(" early".utf8) }
        if !segment.isUnpacked { line += Array(" not-unpacked".utf8) }
        endLine()
    }

    /// A UKI's sections, and a heading for the segments.
    private func sections(of image: ImageFile) {
        if let executable = image.executable {
            for section in executable.sections {
                append(number: section.offset, width: 12)
                append(number: section.size, width: 12)
                line += Array(" section  ".utf8)
                appendEscaped(section.name)
                endLine()
            }
            if executable.isSigned { line += Array("signed\n".utf8) }
        }
        line += Array("      offset      length packed       unpacked   files\n".utf8)
    }

    private func appendEscaped(_ name: [UInt8]) { appendPrintable(name, to: &line) }

    private func append(number: UInt64, width: Int) {
        appendNumber(number, width: width, to: &line)
    }

    private func endLine() {
        line.append(UInt8(ascii: "\n"))
        if line.count >= 1 << 16 {
            sink(line)
            line.removeAll(keepingCapacity: true)
        }
    }
}

/// As `escaped` does it, but at once where nothing has to be escaped.
private func appendPrintable(_ name: [UInt8], to line: inout [UInt8]) {
    let isPlain = name.allSatisfy { $0 >= 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\\") }
    if isPlain { line += name } else { line += Array(escaped(name).utf8) }
}

private func padded(_ text: [UInt8], to width: Int) -> [UInt8] {
    text + [UInt8](repeating: UInt8(ascii: " "), count: max(0, width - text.count))
}

/// A number in decimal, filled up in front. No text of its own is made: images can have a million records.
private func appendNumber(_ number: UInt64, width: Int, filler: UInt8 = UInt8(ascii: " "), to line: inout [UInt8]) {
    var digits = 1
    var scale: UInt64 = 1
    while number / scale >= 10 {
        scale *= 10
        digits += 1
    }
    for _ in 0..<max(0, width - digits) { line.append(filler) }
    var rest = number
    for _ in 0..<digits {
        line.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest / scale))
        rest %= scale
        scale = max(1, scale / 10)
    }
}

/// One line as ls -ln prints it, with times in UTC: permissions, links, owner, group, size or device numbers, time, name,
/// and what a link points to.
private func appendLongLine(_ record: NewcRecord, to line: inout [UInt8]) {
    line += modeText(record.mode)
    func column(_ number: UInt32, _ width: Int) {
        line.append(UInt8(ascii: " "))
        appendNumber(UInt64(number), width: width, to: &line)
    }
    column(record.linkCount, 3)
    column(record.user, 5)
    column(record.group, 5)
    if record.type.isDevice {
        let minor = record.nodeMinor
        let taken = minor < 10 ? 1 : minor < 100 ? 2 : String(minor).utf8.count
        column(record.nodeMajor, max(1, 8 - taken))
        line.append(UInt8(ascii: ","))
        column(minor, 1)
    } else {
        column(record.size, 10)
    }
    line.append(UInt8(ascii: " "))
    appendTime(record.modified, to: &line)
    line.append(UInt8(ascii: " "))
    appendPrintable(record.name, to: &line)
    if let target = record.target {
        line += Array(" -> ".utf8)
        appendPrintable(target, to: &line)
    }
}

/// `2026-11-28 00:05`, in UTC.
func appendTime(_ seconds: UInt32, to text: inout [UInt8]) {
    let minutes = Int(seconds) / 60
    let days = minutes / 1440
    // Counted from 1 March of the year 0, so that a leap day is the last of its year. 719468 days lie before 1970; an
    // era of 400 years has 146097.
    let shifted = days + 719468
    let era = shifted / 146097
    let dayOfEra = shifted % 146097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let month = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * month + 2) / 5 + 1
    let year = era * 400 + yearOfEra + (month >= 10 ? 1 : 0)
    func put(_ number: Int, _ width: Int, _ after: UInt8?) {
        appendNumber(UInt64(number), width: width, filler: UInt8(ascii: "0"), to: &text)
        if let after { text.append(after) }
    }
    put(year, 4, UInt8(ascii: "-"))
    put(month < 10 ? month + 3 : month - 9, 2, UInt8(ascii: "-"))
    put(day, 2, UInt8(ascii: " "))
    put(minutes % 1440 / 60, 2, UInt8(ascii: ":"))
    put(minutes % 60, 2, nil)
}
