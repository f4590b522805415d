import CChecksum
import Testing

/// A CRC by its definition, one bit after the other: what everything else is compared with.
struct Definition: Sendable {
    /// Reflected, without x^32.
    let polynomial: UInt32

    static let crc32c = Definition(polynomial: 0x82F6_3B78)
    static let crc32 = Definition(polynomial: 0xEDB8_8320)

    /// The remainder of each prefix of the bytes, the empty one included.
    func ofPrefixes(_ bytes: [UInt8], seed: UInt32) -> [UInt32] {
        var crc = seed
        var result = [crc]
        result.reserveCapacity(bytes.count + 1)
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? polynomial : 0) }
            result.append(crc)
        }
        return result
    }
}

/// One way to compute, as the library lists them.
struct Path: CustomTestStringConvertible, Sendable {
    let index: Int

    static let all = (0..<pv_crc_path_count()).map(Path.init)

    /// The paths that run here. The others are named on standard output, so that nobody takes them for tested.
    static let running = all.filter { path in
        if !path.runsHere { print("NOT RUN: this processor does not have what \(path.name) needs") }
        return path.runsHere
    }

    var name: String { String(cString: pv_crc_path_name(index)) }
    var testDescription: String { name }
    var runsHere: Bool { pv_crc_path_runs_here(index) }

    /// The checksums that this path knows, with their definitions.
    var checksums: [(function: (Int, UInt32, UnsafeRawPointer?, Int) -> UInt32, definition: Definition)] {
        (pv_crc_path_has_crc32c(index) ? [(pv_crc32c_by, .crc32c)] : [])
            + (pv_crc_path_has_crc32(index) ? [(pv_crc32_by, .crc32)] : [])
    }
}

/// Bytes without a pattern, the same in every run.
let sample: [UInt8] = {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    return (0..<16384).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt8(truncatingIfNeeded: state >> 32)
    }
}()

let seeds: [UInt32] = [0, 1, 0xFFFF_FFFF, 0xDEAD_BEEF]
