/// The manifest as a file of the chain.
public enum ManifestFile {
    /// `.pram-manifest.mtree`
    public static let name: [UInt8] = ChainNames.manifest.withUTF8Buffer { bytes in unsafe Array(bytes) }
}
