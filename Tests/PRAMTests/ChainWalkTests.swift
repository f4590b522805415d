import Testing

@testable import PRAM

@Suite struct ChainWalkTests {
    /// The walk in a few words: "link", "loop" ...
    private func steps(_ chain: Chain, from head: PFN? = nil) -> [String] {
        var walk = ChainWalk(head: head ?? chain.head, memory: chain.memory)
        var words: [String] = []
        while let walked = walk.next() {
            #expect(walked.number == words.count)
            switch walked.content {
            case .link: words.append("link")
            case .notALink(let zeros): words.append(zeros ? "zeros" : "garbage")
            case .absent: words.append("absent")
            case .unreadable: words.append("unreadable")
            case .invalidPFN: words.append("invalid")
            case .loop: words.append("loop")
            }
            guard words.count < 1000 else {
                Issue.record("the walk does not end")
                break
            }
        }
        let more = walk.next() != nil
        #expect(!more)
        return words
    }

    /// Three links with a file each.
    private func threeLinks() -> Chain {
        let chain = Chain()
        chain.link(chain.file("a", pages: 2), chain.file("b", pages: 2), chain.file("c", pages: 2))
        return chain
    }

    private func pointing(_ link: Int, to page: UInt64) -> Chain {
        let chain = threeLinks()
        chain.forge(link) { bytes in
            for i in 0..<8 { bytes[16 + i] = UInt8(truncatingIfNeeded: page >> (8 * UInt64(i))) }
        }
        return chain
    }

    @Test func soundChain() { #expect(steps(threeLinks()) == ["link", "link", "link"]) }

    @Test func loops() {
        let links = threeLinks().links
        #expect(steps(pointing(0, to: links[0])) == ["link", "loop"])
        #expect(steps(pointing(2, to: links[2])) == ["link", "link", "link", "loop"])
        #expect(steps(pointing(2, to: links[0])) == ["link", "link", "link", "loop"])
        #expect(steps(pointing(2, to: links[1])) == ["link", "link", "link", "loop"])
        #expect(steps(pointing(1, to: links[0])) == ["link", "link", "loop"])
    }

    @Test(arguments: [1 << 52, 1 << 52 + 0x200, 1 << 63, .max] as [UInt64])
    func numbersWithoutAnAddress(_ page: UInt64) {
        #expect(steps(pointing(0, to: page)) == ["link", "invalid"])
        #expect(steps(threeLinks(), from: PFN(page)) == ["invalid"])
    }

    @Test func pageZeroIsNoHead() { #expect(steps(threeLinks(), from: PFN(0)) == ["invalid"]) }

    @Test func numbersOutsideOfMemory() {
        #expect(steps(pointing(1, to: 0xff_ffff)) == ["link", "link", "absent"])
        #expect(steps(threeLinks(), from: PFN(1 << 52 - 1)) == ["absent"])
        let chain = threeLinks()
        chain.memory.unreadable = [chain.links[1]]
        #expect(steps(chain) == ["link", "unreadable"])
    }

    @Test func pagesThatAreNoLinks() {
        let zeros = threeLinks()
        zeros.memory.pages[zeros.links[1]] = PageBytes()
        #expect(steps(zeros) == ["link", "zeros"])
        let garbage = threeLinks()
        garbage.memory.pages[garbage.links[1]] = PageBytes((0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 5) })
        #expect(steps(garbage) == ["link", "garbage"])
        // A head page of zeros has checksum 0, which fits: it is no link all the same.
        let cleared = threeLinks()
        cleared.memory.pages[cleared.links[0]] = PageBytes()
        #expect(steps(cleared) == ["zeros"])
    }

    @Test func behindALinkThatProvesNothingOnlyLinksThatProveThemselvesCount() {
        let followed = threeLinks()
        followed.spoil(0) { $0[4090] ^= 1 }
        #expect(steps(followed) == ["link", "link", "link"])

        // The same with a second link that does not fit either: the trail is lost, and what is there is nobody's word.
        let lost = threeLinks()
        lost.spoil(0) { $0[4090] ^= 1 }
        lost.spoil(1) { $0[4090] ^= 1 }
        #expect(steps(lost) == ["link"])

        let zeros = threeLinks()
        zeros.spoil(0) { $0[4090] ^= 1 }
        zeros.memory.pages[zeros.links[1]] = PageBytes()
        #expect(steps(zeros) == ["link"])
    }

    @Test func theMagicAloneMakesALink() {
        let chain = threeLinks()
        chain.spoil(1) { $0[0] ^= 0xff }
        // The checksum of a page without magic proves that it is a link; a finding says that its magic is gone.
        #expect(steps(chain) == ["link", "link", "link"])
        chain.spoil(1) { $0[100] ^= 1 }
        #expect(steps(chain) == ["link", "garbage"])
    }

    /// Zeros behind something that is no magic, with checksum 0, prove nothing; the first byte behind the two does.
    @Test func oneByteBehindTheChecksumMakesItAProof() {
        let chain = threeLinks()
        chain.forge(1) { page in
            page = PageBytes()
            page[0] = 1
        }
        #expect(steps(chain) == ["link", "garbage"])
        chain.forge(1) { page in page[8] = 1 }
        #expect(steps(chain).prefix(2) == ["link", "link"])
    }

    @Test func aLengthOutOfRangeIsALinkWithoutEntries() {
        for length in [0, 170, 171, UInt32.max] {
            let chain = threeLinks()
            chain.forge(1) { page in
                for i in 0..<4 { page[8 + i] = UInt8(truncatingIfNeeded: length >> (8 * UInt32(i))) }
            }
            var walk = ChainWalk(head: chain.head, memory: chain.memory)
            _ = walk.next()
            let link = walk.next()?.link
            #expect(link?.count == length)
            #expect(link?.entries.isEmpty == true)
        }
    }

    @Test func theLayoutIsToldByTheFirstLink() {
        let chain = Chain(.i386)
        chain.link(chain.file("a", pages: 3), chain.file("b", pages: 3))
        var walk = ChainWalk(head: chain.head, memory: chain.memory)
        let counts = [
            walk.next()?.link?.entries.count, walk.next()?.link?.entries.count, walk.next()?.link?.entries.count,
        ]
        #expect(counts == [4, 4, nil])
        #expect(walk.layout == .i386)
    }
}

/// A page of zeros but for its first word has a checksum that fits, 0, and is no link all the same.
struct NearlyEmptyHeadTests {
    @Test(arguments: [0, 3]) func holdsNoChain(_ offset: Int) {
        let chain = Chain()
        chain.link(chain.file("a", pages: 2))
        chain.spoil(0) { page in
            page = PageBytes()
            page[offset] = 7
        }
        let outcome = chain.judge()
        #expect(outcome.verdict == .damaged)
        #expect(outcome.kinds.contains(.noChain))
        #expect(outcome.files.isEmpty)
    }
}
