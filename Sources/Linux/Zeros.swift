import CLinux

/// Whether all bytes are zero; also where there are none.
public func isAllZeros(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let base = bytes.baseAddress, let first = bytes.first else { return true }
    return first == 0 && pv_are_equal(base, base + 1, bytes.count - 1)
}

/// Whether both have the same bytes.
public func areEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard let a = a.baseAddress, let other = b.baseAddress else { return true }
    return pv_are_equal(a, other, b.count)
}
