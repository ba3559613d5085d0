#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif
package import Foundation
package import ShardModel
internal import Synchronization

/// A router's copy of the last catalog it served, so that it can start while the catalog is down.
///
/// The file is complete or absent, whatever happens: it is written beside its place, synced, and moved over the old copy. Mode 0600, because the
/// catalog holds addresses and verifiers. Its contents: see `SnapshotFileFormat`.
package enum SnapshotFile {
    /// The largest file that is read, in bytes; a catalog of 1,000 shards with 256 vnodes each takes 6 MB.
    package static let sizeMax = 256 << 20

    private static let drafts = Atomic<UInt64>(0)

    /// Replaces the copy at `path`. When it throws, the old copy is as it was.
    package static func save(_ snapshot: CatalogSnapshot, to path: String, seal: SnapshotSeal? = nil) throws(SnapshotFileError) {
        let data = try SnapshotFileFormat.encode(snapshot, path: path, seal: seal)
        guard data.count <= sizeMax else { throw SnapshotFileError(.tooLarge, path: path) }
        removeAbandonedDrafts(of: path)
        let number = drafts.add(1, ordering: .relaxed).newValue
        let draft = "\(path).new.\(getpid()).\(number)"
        do throws(SnapshotFileError) {
            try write(data, to: draft)
            guard rename(draft, path) == 0 else { throw systemError(draft) }
        } catch {
            unlink(draft)
            throw SnapshotFileError(error.reason, path: path)
        }
        try syncFolder(of: path)
    }

    /// The copy at `path`, which is refused unless it is exactly what `save` wrote.
    ///
    /// - seal: what it must be sealed with; nil: nobody asks, and one that is sealed is read as well.
    package static func load(from path: String, seal: SnapshotSeal? = nil) throws(SnapshotFileError) -> CatalogSnapshot {
        try SnapshotFileFormat.decode(try read(path), path: path, seal: seal)
    }
}

extension SnapshotFile {
    /// What `save` would write, for copies that are kept elsewhere. `place` is named in errors.
    package static func bytes(of snapshot: CatalogSnapshot, for place: String) throws(SnapshotFileError) -> Data {
        try SnapshotFileFormat.encode(snapshot, path: place)
    }

    /// The catalog in such bytes, checked as a file is: its checksum, its lengths, every invariant of the catalog.
    package static func snapshot(in bytes: Data, from place: String) throws(SnapshotFileError) -> CatalogSnapshot {
        try SnapshotFileFormat.decode(bytes, path: place)
    }
}

// MARK: files

extension SnapshotFile {
    private static func systemError(_ path: String) -> SnapshotFileError {
        SnapshotFileError(.system(String(cString: strerror(errno))), path: path)
    }

    private static func write(_ data: Data, to path: String) throws(SnapshotFileError) {
        // An older draft of this name is of a dead process that had our id.
        unlink(path)
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw systemError(path) }
        defer { close(file) }
        var offset = 0
        while offset < data.count {
            let count = data.withUnsafeBytes { Self.write(file, $0, from: offset) }
            if count < 0 {
                guard errno == EINTR else { throw systemError(path) }
                continue
            }
            offset += count
        }
        guard fsync(file) == 0 else { throw systemError(path) }
    }

    private static func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer, from offset: Int) -> Int {
        guard let base = bytes.baseAddress else { return 0 }
        #if canImport(Glibc)
        return Glibc.write(file, base + offset, bytes.count - offset)
        #else
        return Darwin.write(file, base + offset, bytes.count - offset)
        #endif
    }

    private static func syncFolder(of path: String) throws(SnapshotFileError) {
        let folder = folder(of: path)
        let file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw systemError(folder) }
        defer { close(file) }
        guard fsync(file) == 0 else { throw systemError(folder) }
    }

    private static func folder(of path: String) -> String {
        let folder = (path as NSString).deletingLastPathComponent
        return folder.isEmpty ? "." : folder
    }

    /// A process that was killed while it saved leaves its draft behind.
    private static func removeAbandonedDrafts(of path: String) {
        let folder = folder(of: path)
        let prefix = (path as NSString).lastPathComponent + ".new."
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where name.hasPrefix(prefix) {
            let parts = name.dropFirst(prefix.count).split(separator: ".")
            guard parts.count == 2, let process = Int32(parts[0]), process > 0, kill(process, 0) != 0, errno == ESRCH else { continue }
            unlink(folder + "/" + name)
        }
    }

    private static func read(_ path: String) throws(SnapshotFileError) -> Data {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw systemError(path) }
        let handle = FileHandle(fileDescriptor: file, closeOnDealloc: true)
        do {
            // One byte more than allowed tells a file that is too large from one that just fits.
            let data = try handle.read(upToCount: sizeMax + 1) ?? Data()
            guard data.count <= sizeMax else { throw SnapshotFileError(.tooLarge, path: path) }
            return data
        } catch let error as SnapshotFileError {
            throw error
        } catch {
            throw SnapshotFileError(.system(error.localizedDescription), path: path)
        }
    }
}
