import Testing

@testable import Manifest

struct ChainNamesTests {
    private func names(_ paths: [[UInt8]], seed: (UInt64, UInt64) = (1, 2)) throws -> [[UInt8]] {
        let paths = try paths.map { try TreePath($0) }
        var names = ChainNames(top: paths.filter(\.isShallow).map(\.bytes), seed: seed)
        return paths.map { names.name(of: $0) }
    }

    private func names(_ paths: [String]) throws -> [String] {
        try names(paths.map { Array($0.utf8) }).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func readableNames() throws {
        #expect(try names(["a", "b/c", "b/d/e f"]) == ["a", "b%c", "b%d%e f"])
    }

    @Test func whatLooksLikeANameThatWasMade() throws {
        let given = ["a/b", "a%b", "a%b~2", "a/b~3", "a%b~3", "a%b~2~2", "a/b~2", "a/b~4"]
        let made = try names(given)
        #expect(made == ["a%b~4", "a%b", "a%b~2", "a%b~3~2", "a%b~3", "a%b~2~2", "a%b~2~3", "a%b~4~2"])
        #expect(Set(made).count == made.count)
    }

    @Test func theManifestsNameIsItsOwn() throws {
        #expect(
            try names([".pram-manifest.mtree", "a/.pram-manifest.mtree"]) == [
                ".pram-manifest.mtree~2", "a%.pram-manifest.mtree",
            ])
        #expect(
            try names([".pram-manifest.mtree~2", ".pram-manifest.mtree"]) == [
                ".pram-manifest.mtree~2", ".pram-manifest.mtree~3",
            ])
    }

    /// Two slashes to choose from, names that are made of what is put in, at all lengths around the limit.
    @Test(arguments: 0..<10) func noTwoAreEqual(_ seed: Int) throws {
        var dice = Dice(4000 + seed)
        var paths: Set<[UInt8]> = []
        for _ in 0..<200 {
            var path: [UInt8] = []
            for part in 0..<dice.roll(1...4) {
                if part > 0 { path.append(47) }
                var name: [UInt8] = []
                if dice.once(in: 4) { name = [UInt8](repeating: 120, count: dice.roll(100...250)) }
                for _ in 0..<dice.roll(1...4) {
                    name += Array(dice.pick(["%", "~", "2", "~2", "..", "a", "%..%"]).utf8)
                }
                path += name.prefix(255)
            }
            // Not a file in the one case and a directory in the other: what matters here is the name.
            if (try? TreePath(path)) != nil { paths.insert(path) }
        }
        let list = paths.sorted { $0.lexicographicallyPrecedes($1) }
        let made = try names(list)
        #expect(Set(made).count == list.count)
        for (path, name) in zip(list, made) {
            #expect((1...255).contains(name.count) && !name.contains(47) && name != [46] && name != [46, 46])
            #expect(!name.elementsEqual(".pram-manifest.mtree".utf8))
            if !path.contains(47) { #expect(name == path) }
        }
        // The same again, whatever the seed is.
        #expect(try names(list, seed: (dice.next(), dice.next())) == made)
    }

    @Test func manyOfOneNameAreNotSlow() throws {
        var paths: [[UInt8]] = []
        for number in 2..<6000 { paths.append(Array("a%b~\(number)".utf8)) }
        paths.append(Array("a%b".utf8))
        for number in 0..<1000 {
            paths.append(
                Array("a/\(String(repeating: "x", count: 250))/\(String(repeating: "y", count: 240))/\(number)/f".utf8))
        }
        paths.append(Array("a/b".utf8))
        let made = try names(paths)
        #expect(Set(made).count == paths.count)
        #expect(made.last == Array("a%b~6000".utf8))
    }

    /// Bytes or a key that differ anywhere give another hash.
    @Test func hashesDependOnEverything() {
        var seen: Set<UInt64> = []
        for length in 0..<64 {
            var bytes = [UInt8](repeating: 7, count: length)
            seen.insert(SipHash.hash(bytes, key: (1, 2)))
            for index in 0..<length {
                bytes[index] ^= 1
                seen.insert(SipHash.hash(bytes, key: (1, 2)))
                bytes[index] ^= 1
            }
            seen.insert(SipHash.hash(bytes, key: (1, 3)))
            seen.insert(SipHash.hash(bytes, key: (0, 2)))
        }
        #expect(seen.count == 64 * 3 + 63 * 64 / 2)
    }
}
