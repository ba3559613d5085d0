import Foundation
import Synchronization

/// Port numbers of 127.0.0.1.
package enum LoopbackPort {
    private static let range = 15_000..<32_000
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
