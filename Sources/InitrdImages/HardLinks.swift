import Initrd

/// The files of an archive that have more than one name.
struct HardLinks {
    private struct Link {
        let record: NewcRecord
        let path: [UInt8]
    }
    /// Sorted by nothing but their inodes' low bits.
    private var buckets = [[Link]](repeating: [], count: 256)
    private var bytes = 0
    private static let limit = 16 << 20

    func path(of record: NewcRecord) -> [UInt8]? {
        buckets[Int(record.inode & 255)].last { $0.record.isSameFile(as: record) }?.path
    }

    /// False when there are too many to keep.
    mutating func add(_ record: NewcRecord, _ path: [UInt8]) -> Bool {
        bytes += path.count + 256
        guard bytes <= Self.limit, buckets[Int(record.inode & 255)].count < 4096 else { return false }
        var bare = record
        bare.name = []
        buckets[Int(record.inode & 255)].append(Link(record: bare, path: path))
        return true
    }
}
