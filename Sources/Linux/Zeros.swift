import CLinux

/// Whether all bytes are zero; also where there are none.
public func isAllZeros(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let base = bytes.baseAddress, let first = bytes.first else { return true }
    return first == 0 && memcmp(base, base + 1, bytes.count - 1) == 0
}
