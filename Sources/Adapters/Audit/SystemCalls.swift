internal import CReserve

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// What the operating system says to an error number.
enum SystemError {
    static func text(_ code: Int32) -> String { String(cString: strerror(code)) }
    static var last: Int32 { errno }
}

/// An open file, by thin wrappers: errors are error numbers.
struct OpenFile: Sendable {
    struct Failure: Error { let code: Int32 }

    let descriptor: CInt

    /// With mode 0600 where it is made, and where it is there already.
    init(_ path: String, appends: Bool) throws(Failure) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (appends ? O_APPEND : 0), 0o600)
        guard descriptor >= 0 else { throw Failure(code: errno) }
        // Of a pipe or a device nobody can say what was written.
        var information = stat()
        guard fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
            Self.close(descriptor)
            throw Failure(code: EINVAL)
        }
        if information.st_mode & 0o077 != 0, fchmod(descriptor, 0o600) != 0 {
            let code = errno
            Self.close(descriptor)
            throw Failure(code: code)
        }
        self.descriptor = descriptor
    }

    /// False: another process has it.
    func lock() -> Bool { flock(descriptor, LOCK_EX | LOCK_NB) == 0 }

    func close() { Self.close(descriptor) }

    #if canImport(Glibc)
    private static func close(_ descriptor: CInt) { _ = Glibc.close(descriptor) }
    #elseif canImport(Musl)
    private static func close(_ descriptor: CInt) { _ = Musl.close(descriptor) }
    #else
    private static func close(_ descriptor: CInt) { _ = Darwin.close(descriptor) }
    #endif

    var size: Int {
        var information = stat()
        return fstat(descriptor, &information) == 0 ? Int(information.st_size) : 0
    }

    func read(from offset: Int, count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: max(0, count))
        var done = 0
        while done < bytes.count {
            let got = bytes[done...].withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, off_t(offset + done)) }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { break }
            done += got
        }
        return Array(bytes[..<done])
    }

    /// All of it, at the end of the file; where that fails, part of it may be there.
    func append(_ bytes: [UInt8]) throws(Failure) {
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure(code: count == 0 ? ENOSPC : errno) }
            done += count
        }
    }

    func overwrite(_ bytes: [UInt8]) throws(Failure) {
        let count = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        guard count == bytes.count else { throw Failure(code: count < 0 ? errno : ENOSPC) }
    }

    func truncate(to size: Int) throws(Failure) {
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw Failure(code: errno) }
    }

    func sync() throws(Failure) {
        guard fsync(descriptor) == 0 else { throw Failure(code: errno) }
    }

    /// Takes room on the disk for bytes to come, which no other writer can take any more; the file's size stays. False: the file system does not know how.
    func reserve(from offset: Int, count: Int) throws(Failure) -> Bool {
        var limit = rlimit()
        if getrlimit(Self.fileSizeLimit, &limit) == 0, limit.rlim_cur != Self.noLimit, UInt64(offset + count) > UInt64(limit.rlim_cur) {
            throw Failure(code: EFBIG)
        }
        switch pgmosaic_reserve(descriptor, off_t(offset), off_t(count)) {
        case 0: return true
        case let code where [ENOSPC, EDQUOT, EFBIG].contains(code): throw Failure(code: code)
        default: return false
        }
    }

    #if os(Linux)
    private static let fileSizeLimit = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
    #else
    private static let fileSizeLimit = RLIMIT_FSIZE
    #endif
    private static let noLimit = rlim_t.max
}

enum FileNames {
    static func rename(_ old: String, to new: String) -> Bool {
        #if canImport(Glibc)
        Glibc.rename(old, new) == 0
        #elseif canImport(Musl)
        Musl.rename(old, new) == 0
        #else
        Darwin.rename(old, new) == 0
        #endif
    }
    static func remove(_ path: String) { unlink(path) }

    /// So that a file that was made or renamed is found after the machine has lost power.
    static func syncFolder(of path: String) {
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        #if canImport(Glibc)
        _ = Glibc.close(descriptor)
        #elseif canImport(Musl)
        _ = Musl.close(descriptor)
        #else
        _ = Darwin.close(descriptor)
        #endif
    }
}
