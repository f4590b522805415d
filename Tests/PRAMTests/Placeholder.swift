import Testing
@testable import PRAM
