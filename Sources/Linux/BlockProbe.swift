import CBlkid
import CLinux

/// Something that libblkid recognised on a device.
public struct Signature: Sendable, Equatable {
    public enum Kind: UInt8, Sendable {
        /// A file system, swap space, a member of a RAID or of a volume group, an encrypted volume.
        case superblock
        case partitionTable
    }

    public let kind: Kind
    /// libblkid's word for it: "ext4", "swap", "swsuspend", "linux_raid_member", "gpt".
    public let type: [UInt8]
    /// Empty where there is none.
    public let label: [UInt8]
}

/// One entry of a partition table.
public struct Partition: Sendable, Equatable {
    /// As in the name of its device: pmem0p1 is 1.
    public let number: Int
    /// In sectors of 512 bytes from the start of the disk.
    public let start: UInt64
    /// In sectors of 512 bytes.
    public let size: UInt64
    /// PARTUUID; empty where there is none.
    public let uuid: [UInt8]
    /// PARTLABEL, UTF-8; empty where there is none.
    public let name: [UInt8]
}

/// What lies on a block device or in an image, by libblkid's low-level probe: of one open file, and nothing but that
/// file is read. The library's cache file is never touched, and no other device of the machine is woken up.
public enum BlockProbe {
    /// Everything that is recognised, also superblocks with a wrong checksum and several that contradict each other:
    /// it is for a program that is about to overwrite them. (blkid_do_safeprobe calls the latter an error and names
    /// none.)
    /// - Throws: EIO when the library gives up, which reading errors make it do.
    /// - Parameter offset: in bytes, where to take the start of what is looked at.
    public static func signatures(
        of file: borrowing FileDescriptor, at offset: Int64 = 0
    ) throws(SystemError) -> [Signature] {
        let probe = try Probing(file, offset)
        blkid_probe_enable_superblocks(probe.handle, 1)
        blkid_probe_set_superblocks_flags(
            probe.handle, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_BADCSUM)
        blkid_probe_enable_partitions(probe.handle, 1)
        blkid_probe_set_partitions_flags(probe.handle, BLKID_PARTS_MAGIC)

        var found: [Signature] = []
        // Each call looks on behind the one before. More than a handful would be a strange device indeed.
        while found.count < 64 {
            let code = blkid_do_probe(probe.handle)
            if code == 1 { break }
            guard code == 0 else { throw SystemError("blkid_do_probe", code: EIO, path: file.path) }
            if let type = probe.value("TYPE") {
                found.append(Signature(kind: .superblock, type: type, label: probe.value("LABEL") ?? []))
            } else if let type = probe.value("PTTYPE") {
                found.append(Signature(kind: .partitionTable, type: type, label: []))
            }
        }
        return found
    }

    /// The partitions of a disk; empty when it has no partition table.
    public static func partitions(of file: borrowing FileDescriptor) throws(SystemError) -> [Partition] {
        let probe = try Probing(file)
        blkid_probe_enable_superblocks(probe.handle, 0)
        blkid_probe_enable_partitions(probe.handle, 1)
        guard let list = blkid_probe_get_partitions(probe.handle) else { return [] }
        var partitions: [Partition] = []
        for index in 0..<max(0, blkid_partlist_numof_partitions(list)) {
            guard let entry = blkid_partlist_get_partition(list, index),
                let start = UInt64(exactly: blkid_partition_get_start(entry)),
                let size = UInt64(exactly: blkid_partition_get_size(entry))
            else { continue }
            partitions.append(
                Partition(
                    number: Int(blkid_partition_get_partno(entry)), start: start, size: size,
                    uuid: bytes(of: blkid_partition_get_uuid(entry)), name: bytes(of: blkid_partition_get_name(entry))))
        }
        return partitions
    }

    /// Whether a hibernated system lies on the device that `resume=` names: swap space whose signature says so
    /// (kernel/power/swap.c puts S1SUSPEND in its place). It must not be resumed over memory that has changed since.
    /// - Parameter offset: in bytes, where the swap space starts: that of a swap file, `resume_offset=`, counts pages.
    public static func holdsHibernatedSystem(
        _ file: borrowing FileDescriptor, at offset: Int64 = 0
    ) throws(SystemError) -> Bool {
        try signatures(of: file, at: offset).contains { $0.type.elementsEqual("swsuspend".utf8) }
    }
}

/// libblkid's handle, and the one place that frees it.
private struct Probing: ~Copyable {
    let handle: blkid_probe

    init(_ file: borrowing FileDescriptor, _ offset: Int64 = 0) throws(SystemError) {
        guard let handle = blkid_new_probe() else {
            throw SystemError("blkid_new_probe", code: ENOMEM, path: file.path)
        }
        // Size 0: all that follows. The descriptor stays ours.
        guard blkid_probe_set_device(handle, file.number, offset, 0) == 0 else {
            blkid_free_probe(handle)
            throw SystemError("blkid_probe_set_device", code: EIO, path: file.path)
        }
        self.handle = handle
    }

    deinit { blkid_free_probe(handle) }

    /// A value of the signature that was found last.
    func value(_ name: StaticString) -> [UInt8]? {
        var data: UnsafePointer<CChar>?
        var size = 0
        // A literal's bytes end with a NUL.
        let name = UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
        let code = blkid_probe_lookup_value(handle, name, &data, &size)
        guard code == 0, let data else { return nil }
        return bytes(of: data)
    }
}
