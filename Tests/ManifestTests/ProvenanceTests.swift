import Testing

@testable import Manifest

struct ProvenanceTests {
    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// FIPS 180-4's examples, and lengths around the end of a block.
    @Test func digests() {
        for (text, digest) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
            (
                String(repeating: "a", count: 1000),
                "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"
            ),
        ] {
            #expect(hexadecimal(SHA256.digest(Array(text.utf8))) == digest, "\(text.prefix(8))")
        }
    }

    /// RFC 4231, test case 2.
    @Test func authentication() {
        let code = SHA256.authentication(Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8))
        #expect(hexadecimal(code) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    }

    /// What `systemd-id128 machine-id --app-specific=` says on a machine with this machine-id.
    @Test func machines() {
        let id = Array("0123456789abcdef0123456789abcdef\n".utf8)
        let hashed = MachineIdentity.hashed(machineID: id)
        #expect(hashed.map { String(decoding: $0, as: UTF8.self) } == "4d5f4cf110a94b26b7201d2e4aaa4f5a")
        #expect(MachineIdentity.hashed(machineID: Array("0123456789ABCDEF0123456789ABCDEF".utf8)) == hashed)
        for wrong in [
            "", "uninitialized\n", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdeg", "\n\n",
        ] {
            #expect(MachineIdentity.hashed(machineID: Array(wrong.utf8)) == nil, "\(wrong)")
        }
    }

    @Test func whatIsNotKnownIsNotWritten() {
        var text: [UInt8] = []
        Provenance().append(to: &text)
        #expect(text == Array("#mtree\n# pram-verify: format=1\n".utf8))
    }

    @Test func longValuesAreCut() {
        var head = Provenance()
        head.host = [UInt8](repeating: 1, count: 10_000)
        var text: [UInt8] = []
        head.append(to: &text)
        let reading = Reading([text[...]])
        #expect(reading.findings == [])
        #expect(reading.provenance?.host == [UInt8](repeating: 1, count: 256))
    }

    @Test func keysOfLaterFormatsMeanNothing() {
        let reading = Reading("#mtree\n# pram-verify: format=1\n# pram-verify: signature=x\n# pram-verify: host=h\n")
        #expect(reading.findings == [] && reading.provenance?.host == [104])
    }
}
