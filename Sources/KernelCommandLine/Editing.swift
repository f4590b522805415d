/// Why a parameter cannot be put into a line.
public enum EditFault: Error, Equatable, Sendable {
    /// The text is not one whole parameter: it is empty, has a separator outside quotes or around it, holds a NUL,
    /// leaves a quote open, or is `--`.
    case notOneParameter
    /// Name and value cannot be written as one parameter: there are no escapes, so some quotes cannot be quoted.
    case notExpressible
    /// The last parameter has a quote that is never closed, so nothing can follow it, and it has the name of the new
    /// one: the new one would have to stand before it, and the last one wins. Remove it first. Its place in the line.
    case overriddenByUnclosed(Range<Int>)
}

/// Which part of a line an edit may touch.
public enum EditScope: Sendable {
    /// The kernel's parameters: everything before a bare `--`.
    case parameters
    /// Also what follows it, which 3.14 and earlier read as parameters. The `--` itself stays.
    case parametersAndInit
}

// Edits change the bytes they mean and keep every other byte, in order: what follows the end of the line too.
extension ParameterLine {
    /// The line without the parameters of this name.
    public func removing(named name: ParameterName, in scope: EditScope = .parameters) -> ParameterLine {
        removing(in: scope) { $0.isNamed(name) }
    }

    /// The line without the parameters that `isRemoved` picks.
    ///
    /// Each goes with exactly one separator: the one that follows it, or at the end of the line the one before it.
    /// (None if the line held nothing else.) So a line with single separators keeps single separators, and wherever
    /// there were more they stay. Reading the result gives exactly the parameters that were not picked, unchanged and
    /// in order: a parameter is read without regard to what stands before it, and between two that stay at least one
    /// separator stays.
    public func removing(in scope: EditScope = .parameters, where isRemoved: (Parameter) -> Bool) -> ParameterLine {
        var kept: [UInt8] = []
        kept.reserveCapacity(bytes.count)
        var copied = 0
        func remove(_ parameter: Parameter) {
            kept += bytes[copied..<parameter.range.lowerBound]
            copied = parameter.range.upperBound
            if copied < end {
                copied += 1
            } else if let last = kept.last, Self.isSeparator(last) {
                kept.removeLast()
            }
        }
        for parameter in parameters where isRemoved(parameter) { remove(parameter) }
        if case .parametersAndInit = scope {
            for parameter in initParameters where isRemoved(parameter) { remove(parameter) }
        }
        kept += bytes[copied...]
        return ParameterLine(kept)
    }

    /// The line with one more parameter, which must be written as it shall stand there (see `Parameter.text`): before
    /// a bare `--`, else at the end. One blank is added where no separator stands already, nothing else.
    ///
    /// When the last parameter leaves a quote open, whatever follows would become part of its value; the new one then
    /// goes before it, unless both have the same name. A line that would be too long is not refused here: see
    /// `exceeds`.
    public func inserting(_ text: [UInt8]) throws(EditFault) -> ParameterLine {
        let alone = ParameterLine(text)
        var parameters = alone.parameters
        guard let parameter = parameters.next(), parameter.range == 0..<text.count, parameter.isClosed else {
            throw .notOneParameter
        }

        let place: Int
        if let doubleDash {
            place = doubleDash.lowerBound
        } else if let unclosed {
            guard !unclosed.isNamed(ParameterName([UInt8](parameter.name))) else {
                throw .overriddenByUnclosed(unclosed.range)
            }
            place = unclosed.range.lowerBound
        } else {
            place = end
        }
        var longer = [UInt8](bytes[..<place])
        if let last = longer.last, !Self.isSeparator(last) { longer.append(UInt8(ascii: " ")) }
        longer += text
        // Before `--` or an unclosed parameter, which follows without a separator.
        if place < end { longer.append(UInt8(ascii: " ")) }
        longer += bytes[place...]
        return ParameterLine(longer)
    }
}

extension Parameter {
    /// Name and value as the text of one parameter, quoted only where it must be: `name=value`, `name="value"` or
    /// `"name=value"`, the first that the kernel reads back as exactly this name and value.
    ///
    /// Without a value, the name as it is. Throws `notExpressible` if none of them does.
    public static func text(name: [UInt8], value: [UInt8]?) throws(EditFault) -> [UInt8] {
        guard let value else {
            guard reads(name, as: name, nil) else { throw .notExpressible }
            return name
        }
        let equals = [UInt8(ascii: "=")]
        let plain = name + equals + value
        if reads(plain, as: name, value) { return plain }
        let valueQuoted = name + equals + [quote] + value + [quote]
        if reads(valueQuoted, as: name, value) { return valueQuoted }
        let allQuoted = [quote] + plain + [quote]
        if reads(allQuoted, as: name, value) { return allQuoted }
        throw .notExpressible
    }

    private static func reads(_ text: [UInt8], as name: [UInt8], _ value: [UInt8]?) -> Bool {
        let line = ParameterLine(text)
        var parameters = line.parameters
        guard let parameter = parameters.next(), parameter.range == 0..<text.count, parameter.isClosed,
            parameter.name.elementsEqual(name)
        else { return false }
        guard let value, let read = parameter.value else { return value == nil && parameter.value == nil }
        return read.elementsEqual(value)
    }
}
