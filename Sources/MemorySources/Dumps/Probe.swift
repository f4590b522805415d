import Machine
import PRAM

/// The three answers of a format that is asked whether a file is its own.
public enum Probe {
    case mine(any PhysicalMemory)
    case notMine
    /// It is this format, but it cannot be read, and this is why.
    case failed(MemoryFailure)
}
