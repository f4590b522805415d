import Testing
@testable import KernelCommandLine
