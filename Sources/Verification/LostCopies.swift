import PRAM
import Parity

/// What protects a chain and is listed by no link, as far as it is not as it was made: locators, copies of links, the
/// links' parity. The chain itself may be whole without it.
///
/// What memory does not hold, or cannot show, is not counted: nobody knows what became of it.
public struct LostCopies {
    public enum Content: Sendable {
        case locator
        /// The copy of the link with this number.
        case link(Int)
        /// The page of the links' parity with this number.
        case parity(Int)
    }

    public let pages: [(page: UInt64, content: Content)]

    /// - Parameters:
    ///   - links: the page of each link, where it can be read as it was written.
    public init(of geometry: GeometryPage, links: [UInt64], in memory: any PhysicalMemory) {
        var lost: [(page: UInt64, content: Content)] = []
        func look(_ page: UInt64, _ content: Content, _ isSound: (PageBytes) -> Bool) {
            guard memory.contains(PFN(page)) else { return }
            var state = PageState.absent
            let bytes = PageBytes(PFN(page), of: memory, state: &state)
            guard state == .present, !isSound(bytes), !(bytes.isZero && memory.zerosMayBeHole(PFN(page))) else {
                return
            }
            lost.append((page, content))
        }
        for (number, place) in links.prefix(geometry.links).enumerated() {
            look(geometry.copy(ofLink: number), .link(number)) { copy in
                var state = PageState.absent
                let link = PageBytes(PFN(place), of: memory, state: &state)
                return state == .present && link.bytes == copy.bytes
            }
        }
        for index in 0..<geometry.linkCode.parityPages {
            look(geometry.linkParity(index), .parity(index)) {
                LinkParityPage.isSound($0.bytes, generation: geometry.generation, index: index)
            }
        }
        for page in [geometry.front, geometry.back] {
            look(page, .locator) { GeometryPage(decoding: $0.bytes) == geometry }
        }
        pages = lost
    }

    public var isEmpty: Bool { pages.isEmpty }
    public var locators: Int { pages.count { if case .locator = $0.content { true } else { false } } }
    public var links: Int { pages.count { if case .link = $0.content { true } else { false } } }
    public var parityPages: Int { pages.count { if case .parity = $0.content { true } else { false } } }
}
