import Text

/// The call itself was wrong.
struct UsageError: Error {
    let message: String
    init(_ message: Phrase) { self.message = message.text }
}
