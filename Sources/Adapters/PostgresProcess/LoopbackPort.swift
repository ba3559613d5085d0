import Foundation
import Synchronization

/// Port numbers of 127.0.0.1.
package enum LoopbackPort {
    /// Of this process alone, where so few ask: what another is about to take is not offered here.
    private static let range = claimSlice(of: 15_000..<32_000, slices: 17)
    /// How far this process has gone through the range, from a place of its own: it offers no port again before it has been all round, so that whoever
    /// was offered one has time to take it.
    private static let offered = Atomic(Int.random(in: 0..<range.count))

    /// A port that was free a moment ago. The caller must be ready for somebody else to take it first.
    ///
    /// Taken from below the range that the kernel gives to outgoing connections: a server that comes back to its port
    /// after a restart would now and then find a stranger's connection on one of those.
    package static func free() throws(PostgresProcessError) -> Int {
        for _ in 0..<200 {
            let next = offered.add(1, ordering: .relaxed).newValue
            do { return try bind(port: range.lowerBound + next % range.count) } catch { continue }
        }
        return try bind(port: 0)
    }

    /// `port` when it is free, a free one when it is 0.
    package static func claim(_ port: Int) throws(PostgresProcessError) -> Int {
        port == 0 ? try free() : try bind(port: port)
    }

    /// A part of `whole` that no other process holds, or all of it. Held by a name that the kernel frees with the process.
    private static func claimSlice(of whole: Range<Int>, slices: Int) -> Range<Int> {
        let size = whole.count / slices
        for slice in (0..<slices).shuffled() {
            let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            guard socket >= 0 else { return whole }
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            // Behind a zero byte: a name that is in no folder.
            withUnsafeMutableBytes(of: &address.sun_path) { $0.dropFirst().copyBytes(from: "pgmosaic-ports-\(slice)".utf8) }
            let bound = withUnsafePointer(to: address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 }
            }
            if bound { return (whole.lowerBound + slice * size)..<(whole.lowerBound + (slice + 1) * size) }
            close(socket)
        }
        return whole
    }

    /// Binds and closes at once. SO_REUSEADDR lets a port pass whose last connections are in TIME_WAIT, as servers do.
    private static func bind(port: Int) throws(PostgresProcessError) -> Int {
        guard let number = UInt16(exactly: port) else { throw .portTaken(port) }
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw .system(call: "socket", errno: errno) }
        defer { close(socket) }
        var yes: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = number.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                Glibc.bind(socket, generic, length) == 0 && getsockname(socket, generic, &length) == 0
            }
        }
        // Binding succeeds beside a listener only with SO_REUSEPORT, which nobody sets here.
        guard bound, listen(socket, 1) == 0 else { throw .portTaken(port) }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
