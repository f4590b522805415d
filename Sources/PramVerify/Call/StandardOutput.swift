import Text

/// Whether a file to be written is named `-`: standard output.
func isStandardOutput(_ path: [UInt8]) -> Bool { path.spell("-") }
