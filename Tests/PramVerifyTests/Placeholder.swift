import Testing
@testable import PramVerify
