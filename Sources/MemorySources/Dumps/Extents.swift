/// A stretch of a 64-bit space (physical addresses, or offsets in a file) that one piece of a dump fills.
struct Extent {
    /// The first byte.
    var start: UInt64
    /// The last byte, inclusive.
    var last: UInt64
    /// Which piece: an index into whatever the owner keeps of its pieces.
    var piece: Int
}

/// Extents in ascending order, none overlapping another: built once, then asked by any thread.
struct ExtentMap {
    let extents: [Extent]

    /// Sorts the extents. Where several cover a byte, the one that comes first in `layers` has it.
    ///
    /// Takes n log n time for n extents, and at most 2n remain, however they overlap.
    init(_ layers: [Extent]) {
        let order = layers.indices.sorted { (layers[$0].start, $0) < (layers[$1].start, $1) }
        if zip(order, order.dropFirst()).allSatisfy({ layers[$0].last < layers[$1].start }) {
            extents = order.map { layers[$0] }
        } else {
            extents = Self.flatten(layers, order)
        }
    }

    /// A sweep over the starts in ascending order; the extents that have begun wait in a heap, the first layer on top.
    private static func flatten(_ layers: [Extent], _ order: [Int]) -> [Extent] {
        var result: [Extent] = []
        var begun = Heap()
        var next = 0
        var position: UInt64 = 0
        while true {
            while let top = begun.top, layers[top].last < position { begun.pop() }
            if begun.top == nil {
                guard next < order.count else { return result }
                position = max(position, layers[order[next]].start)
            }
            while next < order.count, layers[order[next]].start <= position {
                if layers[order[next]].last >= position { begun.push(order[next]) }
                next += 1
            }
            guard let top = begun.top else { continue }

            var last = layers[top].last
            if next < order.count { last = min(last, layers[order[next]].start - 1) }
            if let previous = result.last, previous.piece == layers[top].piece, previous.last + 1 == position {
                result[result.count - 1].last = last
            } else {
                result.append(Extent(start: position, last: last, piece: layers[top].piece))
            }
            if last == .max { return result }
            position = last + 1
        }
    }

    /// The index of the extent that holds `position`, or of the first one behind it, or else `extents.count`.
    func index(at position: UInt64) -> Int {
        var low = 0, high = extents.count
        while low < high {
            let middle = (low + high) / 2
            if extents[middle].last < position { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The extent that holds `position`.
    func extent(at position: UInt64) -> Extent? {
        let index = index(at: position)
        guard index < extents.count, extents[index].start <= position else { return nil }
        return extents[index]
    }
}

/// The smallest number on top.
private struct Heap {
    private var numbers: [Int] = []

    var top: Int? { numbers.first }

    mutating func push(_ number: Int) {
        numbers.append(number)
        var child = numbers.count - 1
        while child > 0, numbers[child] < numbers[(child - 1) / 2] {
            numbers.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop() {
        numbers.swapAt(0, numbers.count - 1)
        numbers.removeLast()
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < numbers.count else { return }
            if child + 1 < numbers.count, numbers[child + 1] < numbers[child] { child += 1 }
            guard numbers[child] < numbers[parent] else { return }
            numbers.swapAt(child, parent)
            parent = child
        }
    }
}
