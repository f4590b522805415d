import Glibc
import Testing

@testable import Parity

/// Does the dealing do what it promises, and are the numbers chosen so that they keep the promise?
struct InterleavingTests {
    /// Every page and every parity page has its place, once.
    @Test func everyMemberHasOnePlace() throws {
        for pages in [1, 2, 3, 7, 8, 9, 100, 159, 160, 161, 320, 1000, 1001] {
            for groups in [1, 2, 3, 7, 10] where groups <= pages && (pages - 1) / groups + 1 <= 248 {
                for rows in [1, 4, 8] {
                    let code = try #require(Interleaving(pages: pages, groups: groups, rows: rows))
                    var members = Set<Int>()
                    for group in 0..<groups {
                        let columns = code.columns(of: group)
                        #expect(columns == code.columns || columns == code.columns - 1)
                        for column in 0..<columns {
                            let rank = code.page(group: group, column: column)
                            #expect(code.group(ofPage: rank) == group)
                            members.insert(rank)
                        }
                        for row in 0..<rows {
                            let index = code.parity(group: group, row: row)
                            #expect(code.group(ofParity: index) == group && index / groups == row)
                            members.insert(pages + index)
                        }
                    }
                    #expect(members == Set(0..<pages + code.parityPages))
                }
            }
        }
    }

    @Test func whatCannotBeIsRefused() {
        #expect(Interleaving(pages: 0, groups: 0, rows: 8) == nil)
        #expect(Interleaving(pages: 10, groups: 0, rows: 8) == nil)
        #expect(Interleaving(pages: 10, groups: 11, rows: 8) == nil)
        #expect(Interleaving(pages: 10, groups: 1, rows: 0) == nil)
        #expect(Interleaving(pages: 10, groups: 1, rows: 17) == nil)
        #expect(Interleaving(pages: 248, groups: 1, rows: 8) != nil)
        #expect(Interleaving(pages: 249, groups: 1, rows: 8) == nil)
        #expect(Interleaving(pages: .max, groups: .max, rows: 8) == nil)
        #expect(Interleaving(pages: 1 << 40, groups: 1 << 40, rows: 1) != nil)
        #expect(Interleaving(pages: 1000, percent: 0) == nil)
        #expect(Interleaving(pages: 1000, percent: 51) == nil)
        #expect(Interleaving(pages: .min, percent: 5) == nil)
        #expect(Interleaving(links: 0) == nil)
        #expect(Interleaving(links: .max) == nil)
    }

    /// Sizes of all kinds, up to 16 TiB.
    static let sizes = Array(1...3000) + (12...32).flatMap { n in [-1, 0, 1, 12345].map { (1 << n) + $0 } }

    @Test func everyPercentageIsGiven() throws {
        for pages in Self.sizes {
            for percent in 1...50 {
                let code = try #require(Interleaving(pages: pages, percent: percent), "\(pages), \(percent)")
                #expect(code.parityPages * 100 >= pages * percent)
                #expect(code.rows >= 4 && code.columns + code.rows <= 256)
            }
        }
    }

    /// 4 % of the whole chain at the default, from 1,000 pages on.
    @Test func theDefaultGivesARunOf4Percent() throws {
        for pages in Self.sizes {
            let code = try #require(Interleaving(pages: pages, percent: 5))
            let chain = try #require(ParityLayout.pagesNeeded(pages: pages, percent: 5))
            if chain >= 1000 { #expect(code.parityPages * 100 >= chain * 4, "\(pages)") }
            // Small chains: each page may be lost, so to speak, with the whole of a copy left.
            if pages <= 8 { #expect(code.parityPages >= pages && code.groups == 1) }
        }
    }

    /// How likely it is that some group loses more than it has parity, each page being lost with a probability: at most
    /// the sum over groups of a binomial distribution's tail.
    static func chanceOfFailure(_ code: Interleaving, lost: Double) -> Double {
        let members = Double(code.columns + code.rows)
        var tail = 0.0
        var count = Double(code.rows) + 1
        while count <= members {
            let logarithm =
                lgamma(members + 1) - lgamma(count + 1) - lgamma(members - count + 1) + count * log(lost)
                + (members - count) * log(1 - lost)
            tail += exp(logarithm)
            count += 1
        }
        return tail * Double(code.groups)
    }

    /// 0.3 % lost at random come back in at least 999 of 1,000 cases, links and geometry included, up to 16 TiB.
    @Test func theDefaultBearsRandomLosses() throws {
        for pages in Self.sizes where pages >= 900 {
            let code = try #require(Interleaving(pages: pages, percent: 5))
            let links = ParityLayout.links(pages: pages, parityPages: code.parityPages)
            let linkCode = try #require(Interleaving(links: links))
            let lost = 0.003
            // A link is missing when it and its copy are lost. Its group comes back unless more links are missing
            // than parity pages are left.
            var links3 = 0.0
            let both = lost * lost
            for missingParity in 0...linkCode.rows {
                let parity =
                    exp(
                        lgamma(Double(linkCode.rows) + 1) - lgamma(Double(missingParity) + 1)
                            - lgamma(Double(linkCode.rows - missingParity) + 1)) * pow(lost, Double(missingParity))
                let left = linkCode.rows - missingParity
                // At least left + 1 links of the group are missing: at most (columns * both)^(left + 1) / (left + 1)!.
                links3 +=
                    parity
                    * exp(
                        Double(left + 1) * log(Double(linkCode.columns) * both) - lgamma(Double(left + 2)))
            }
            let chance = Self.chanceOfFailure(code, lost: lost) + links3 * Double(linkCode.groups) + pow(lost, 3)
            #expect(chance <= 0.001, "\(pages): \(chance)")
        }
    }

    /// Less room never gives more, and what is given fits; the rows are the last to go.
    @Test func whatFitsIsTaken() throws {
        for pages in [1, 5, 8, 9, 100, 255, 256, 1000, 40_000] {
            for percent in [1, 2, 3, 5, 20, 50] {
                let wanted = try #require(Interleaving(pages: pages, percent: percent))
                var before = wanted
                for room in stride(from: wanted.parityPages + 1, through: 0, by: -1) {
                    guard let code = wanted.fitting(room: room) else {
                        #expect(room < (pages - 1) / 255 + 1, "\(pages), \(percent): nothing with \(room)")
                        continue
                    }
                    #expect(code.parityPages <= room && code.rows <= before.rows)
                    if code.rows < before.rows { #expect(code.rows * ((pages - 1) / (256 - before.rows) + 1) <= room) }
                    before = code
                }
            }
        }
    }
}
