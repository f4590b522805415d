import Testing
@testable import MemorySources
