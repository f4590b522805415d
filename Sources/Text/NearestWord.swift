/// The one of the names that a mistyped word comes nearest to; nil when none is near, or two are equally near.
///
/// Near is a distance of at most a third of the name's length, and one letter at least: letters put in, left out,
/// changed, or two neighbours swapped (Damerau's distance, of adjacent swaps only).
public func nearestWord(to word: [UInt8], among names: [StaticString]) -> StaticString? {
    guard word.count <= 64 else { return nil }
    var nearest: (name: StaticString, distance: Int)?
    var isTied = false
    for name in names {
        let bytes = bytes(name)
        let distance = editDistance(word, bytes)
        guard distance <= max(1, bytes.count / 3) else { continue }
        if let found = nearest, distance >= found.distance {
            isTied = isTied || distance == found.distance
        } else {
            nearest = (name, distance)
            isTied = false
        }
    }
    return isTied ? nil : nearest?.name
}

private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in 0..<a.count {
        var row = [i + 1]
        for j in 0..<b.count {
            var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
            row.append(cost)
        }
        beforeLast = last
        last = row
    }
    return last[b.count]
}
