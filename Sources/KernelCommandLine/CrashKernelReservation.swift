/// One `crashkernel=`, as far as it fixes an address (kernel/crash_core.c, kernel/crash_reserve.c).
///
/// The kernel finds it by plain search for the text in the whole line, so it also takes one inside another parameter or
/// after `--`; here only parameters of that name count, which is what people write.
public struct CrashKernelReservation: Equatable, Sendable {
    public enum Form: Equatable, Sendable {
        /// `size[@offset]`
        case simple
        /// `size,high` or another word after the comma: the kernel chooses the place.
        case suffixed
        /// `range:size[,...][@offset]`: the size depends on how much memory there is and is not worked out here.
        case ranges
        /// No size in front, or something unknown behind it: no reservation.
        case malformed
    }

    public let form: Form
    /// Bytes; nil for `ranges` and `malformed`.
    public let size: MemoryNumber?
    /// The physical address that was asked for; nil when the kernel chooses, which is what it does for 0 too.
    public let offset: MemoryNumber?
    public let parameter: Parameter

    /// All of them in order. The kernel goes by the last of each form.
    public static func all(in line: ParameterLine) -> [CrashKernelReservation] {
        line.all(named: "crashkernel").map(read)
    }

    private static func read(_ parameter: Parameter) -> CrashKernelReservation {
        guard let value = parameter.value else {
            return CrashKernelReservation(form: .malformed, size: nil, offset: nil, parameter: parameter)
        }
        var offset: MemoryNumber?
        if let at = value.lastIndex(of: UInt8(ascii: "@")) {
            let number = KernelNumber.memparse(value[(at + 1)...])
            if number.value > 0 { offset = number }
        }
        if value.contains(UInt8(ascii: ":")) {
            return CrashKernelReservation(form: .ranges, size: nil, offset: offset, parameter: parameter)
        }
        let size = KernelNumber.memparse(value)
        guard size.rest.count < value.count else {
            return CrashKernelReservation(form: .malformed, size: nil, offset: nil, parameter: parameter)
        }
        switch size.rest.first {
        case nil, UInt8(ascii: "@"), UInt8(ascii: " "):
            return CrashKernelReservation(form: .simple, size: size, offset: offset, parameter: parameter)
        case UInt8(ascii: ","):
            return CrashKernelReservation(form: .suffixed, size: size, offset: nil, parameter: parameter)
        default:
            return CrashKernelReservation(form: .malformed, size: nil, offset: nil, parameter: parameter)
        }
    }
}
