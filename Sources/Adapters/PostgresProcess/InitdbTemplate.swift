import Foundation

/// A data folder that initdb has made once, to be copied: for tests, which make hundreds of servers. initdb takes 0.65 s of a processor, a copy 0.03 s.
struct InitdbTemplate {
    /// The environment's name of a folder for templates, which the processes of a test run share. Without it initdb makes every server.
    static let variable = "PGMOSAIC_TEST_INITDB"

    /// nil where every server is to be made by initdb: always where data is to survive, or a password is in it.
    init?(_ options: PostgresServerOptions, _ installation: PostgresInstallation) {
        guard options.durability == .none, options.password == nil, let folder = options.templates else { return nil }
        let parts = [installation.path(of: "initdb"), options.superuser, options.locale, options.authentication.rawValue]
        path = folder + "/" + parts.map { $0.map { $0.isLetter || $0.isNumber ? String($0) : "_" }.joined() }.joined(separator: "-")
    }

    private let path: String

    /// Fills an empty data folder; false where there is no template yet.
    func copy(to dataDirectory: String) async throws(PostgresProcessError) -> Bool {
        guard FileManager.default.fileExists(atPath: path) else { return false }
        try await Self.copy(path, to: dataDirectory)
        try Self.setSystemIdentifier(UInt64.random(in: 1...UInt64(Int64.max)), in: dataDirectory)
        return true
    }

    /// Makes the template of a folder that initdb has just filled. Of several that do so at once the first one's is kept.
    func keep(_ dataDirectory: String) async throws(PostgresProcessError) {
        let own = path + "." + UUID().uuidString
        do { try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true) } catch {
            throw .folderUnusable(path: own, reason: "it cannot be made")
        }
        try await Self.copy(dataDirectory, to: own)
        if rename(own, path) != 0 { try? FileManager.default.removeItem(atPath: own) }
    }

    /// Owners and modes included: as root, the files are another account's.
    private static func copy(_ from: String, to: String) async throws(PostgresProcessError) {
        try await SupervisedProcess.runChecked(.init("/bin/cp", ["-a", from + "/.", to], environment: ["PATH": "/usr/bin:/bin"], workingDirectory: "/"))
    }

    /// Writes another identifier where a server that was never started has it: at the beginning of pg_control, which ends with a checksum, and behind the
    /// 24 bytes of the first WAL page's short header. Servers are told apart by it.
    private static func setSystemIdentifier(_ identifier: UInt64, in dataDirectory: String) throws(PostgresProcessError) {
        let control = dataDirectory + "/global/pg_control"
        let bytes = withUnsafeBytes(of: identifier.littleEndian, Array.init)
        guard var content = FileManager.default.contents(atPath: control).map(Array.init), let end = checksumOffset(content) else {
            throw .folderUnusable(path: control, reason: "it has no checksum where one is expected")
        }
        content.replaceSubrange(0..<8, with: bytes)
        content.replaceSubrange(end..<end + 4, with: withUnsafeBytes(of: CRC32C(content[..<end]).value.littleEndian, Array.init))
        try write(content, at: 0, of: control)
        try write(bytes, at: 24, of: dataDirectory + "/pg_wal/000000010000000000000001")
    }

    /// Which field is the last one depends on PostgreSQL's version: it is the one that is the checksum of all before it.
    private static func checksumOffset(_ content: [UInt8]) -> Int? {
        var checksum = CRC32C([])
        for offset in stride(from: 0, to: min(content.count, 512) - 4, by: 4) {
            let stored = (0..<4).reduce(UInt32(0)) { $0 | UInt32(content[offset + $1]) << UInt32(8 * $1) }
            if offset >= 128, stored == checksum.value { return offset }
            checksum.add(content[offset..<offset + 4])
        }
        return nil
    }

    /// In place: the file stays its owner's.
    private static func write(_ bytes: [UInt8], at offset: UInt64, of path: String) throws(PostgresProcessError) {
        do {
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            defer { try? handle.close() }
            try handle.seek(toOffset: offset)
            try handle.write(contentsOf: Data(bytes))
        } catch {
            throw .folderUnusable(path: path, reason: "it cannot be written")
        }
    }
}

/// The checksum of PostgreSQL's files: Castagnoli's polynomial, reflected.
private struct CRC32C {
    private var register: UInt32 = .max

    init(_ bytes: some Sequence<UInt8>) { add(bytes) }

    var value: UInt32 { ~register }

    mutating func add(_ bytes: some Sequence<UInt8>) {
        for byte in bytes {
            register ^= UInt32(byte)
            for _ in 0..<8 { register = register >> 1 ^ (register & 1 == 1 ? 0x82F6_3B78 : 0) }
        }
    }
}
