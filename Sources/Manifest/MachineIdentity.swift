/// Which machine a chain is from, without giving away its machine-id: machine-id(5) asks that it be kept confidential
/// and hashed with a key of the application's own.
public enum MachineIdentity {
    /// This program's identifier for that purpose: 12c8e7a5-3c36-4df0-9c0f-6d4be2a0f7d1.
    static let application: [UInt8] = [
        0x12, 0xc8, 0xe7, 0xa5, 0x3c, 0x36, 0x4d, 0xf0, 0x9c, 0x0f, 0x6d, 0x4b, 0xe2, 0xa0, 0xf7, 0xd1,
    ]

    /// What sd_id128_get_machine_app_specific(3) makes of it: the first 16 bytes of HMAC-SHA256 of the application's
    /// identifier with the machine-id as the key, with the bits of a version 4 UUID set; as 32 hexadecimal digits.
    /// - Parameter machineID: /etc/machine-id as it is: 32 hexadecimal digits, perhaps a line break.
    /// - Returns: nil when it is anything else, such as `uninitialized`.
    public static func hashed(machineID: [UInt8]) -> [UInt8]? {
        var text = machineID[...]
        if text.last == UInt8(ascii: "\n") { text.removeLast() }
        guard text.count == 32 else { return nil }
        var key: [UInt8] = []
        for at in stride(from: text.startIndex, to: text.endIndex, by: 2) {
            guard let high = nibble(text[at]), let low = nibble(text[at + 1]) else { return nil }
            key.append(high << 4 | low)
        }
        var hash = Array(SHA256.authentication(application, key: key).prefix(16))
        hash[6] = hash[6] & 0x0f | 0x40
        hash[8] = hash[8] & 0x3f | 0x80
        return hash.flatMap { [digit($0 >> 4), digit($0 & 15)] }
    }

    private static func nibble(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func digit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + (nibble - 10)
    }
}
