import Testing

@testable import Manifest

struct EditTests {
    private func edited(
        _ text: [UInt8], _ dice: inout Dice, _ fate: ([UInt8]) -> ChainFileFate
    ) -> (text: [UInt8], edit: ManifestEdit) {
        var edit = ManifestEdit()
        var new: [UInt8] = []
        let longest = dice.pick([1, 30, 4096, 1 << 20])
        for piece in text.pieces(&dice, longest: longest) { new += edit.read(piece, fate: fate) }
        edit.finish()
        return (new, edit)
    }

    @Test(arguments: 0..<10) func entriesFollowTheirFiles(_ seed: Int) throws {
        var dice = Dice(3000 + seed)
        let head = dice.provenance()
        let entries = try (0..<12).map { _ in try dice.entry() }
        let text = text(of: entries, head)
        let (same, edit) = edited(text, &dice) { _ in .kept }
        #expect(same == text)
        #expect(edit.droppedEntries == 0 && edit.renamedEntries == 0 && edit.droppedLines == 0)

        func fate(_ name: [UInt8]) -> ChainFileFate {
            let new = Array((name + Array(".damaged".utf8)).suffix(255))
            return name.count % 3 == 0 ? .dropped : name.count % 3 == 1 ? .renamed(new) : .kept
        }
        var wanted: [TreeEntry] = []
        for entry in entries {
            var entry = entry
            if let contents = entry.contents {
                switch fate(contents) {
                case .kept: break
                case .dropped: continue
                case .renamed(let name): entry.contents = name
                }
            }
            wanted.append(entry)
        }
        let (new, _) = edited(text, &dice, fate)
        let reading = Reading([new[...]])
        #expect(reading.findings == [] && reading.entries == wanted && reading.provenance == head)
    }

    @Test func whatOthersWriteStaysAsItIs() {
        var dice = Dice(1)
        let old = """
            #mtree by hand
            /set type=file

            # a comment
            a  contents=one \\
                mode=0600
            b\tcontents=two content=three
            #xattr user.a=AAAA
            # between
            c contents=two
            #xattr user.a=BBBB
            d contents=thr\\145e

            """
        let (new, edit) = edited(Array(old.utf8), &dice) {
            String(decoding: $0, as: UTF8.self) == "two" ? .dropped : $0.count == 5 ? .renamed([32]) : .kept
        }
        #expect(
            String(decoding: new, as: UTF8.self) == """
                #mtree by hand
                /set type=file

                # a comment
                a  contents=one \\
                    mode=0600
                b\tcontents=two content=\\040
                # between
                #xattr user.a=BBBB
                d contents=\\040

                """)
        #expect(edit.droppedEntries == 1 && edit.renamedEntries == 2)
    }

    /// A hole takes its lines, and what stood before them for an entry in it.
    @Test func linesThatCannotBeReadGo() throws {
        var dice = Dice(2)
        let text = text(of: try (0..<10).map { _ in try dice.entry() })
        for start in stride(from: 40, to: text.count - 100, by: 331) {
            var holed = text
            for index in start..<start + 100 { holed[index] = 0 }
            let (new, edit) = edited(holed, &dice) { _ in .kept }
            #expect(edit.droppedLines > 0)
            #expect(!new.contains(0))
            let before = Reading([holed[...]])
            let after = Reading([new[...]])
            #expect(after.entries == before.entries)
        }
    }
}
