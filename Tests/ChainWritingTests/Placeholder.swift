import Testing
@testable import ChainWriting
