import Foundation
import Glibc
import Synchronization

/// All that a run has left.
final class Evidence: Sendable {
    private struct Item: Sendable {
        var place: Place
        var name: String
        var bytes: [UInt8]
    }

    private let items = Mutex<[Item]>([])

    func add(_ place: Place, _ name: String, _ text: String) { add(place, name, Array(text.utf8)) }

    func add(_ place: Place, _ name: String, _ bytes: [UInt8]) { items.withLock { $0.append(Item(place: place, name: name, bytes: Self.terminated(bytes))) } }

    func add(_ place: Place, file: String) throws {
        add(place, (file as NSString).lastPathComponent, Array(try Data(contentsOf: URL(fileURLWithPath: file))))
    }

    /// How many bytes there are of each place: a search through nothing finds nothing.
    var sizes: [Place: Int] { items.withLock { items in items.reduce(into: [:]) { $0[$1.place, default: 0] += $1.bytes.count } } }

    /// What was found where it must not be, one line each, without the secret.
    func findings(_ secrets: [Secret]) -> [String] {
        items.withLock { items in
            items.flatMap { item in
                secrets.filter { !$0.allowed.contains(item.place) }.compactMap { secret in
                    secret.needles.lazy.compactMap { Self.position(of: $0, in: item.bytes) }.first.map { position in
                        "\(item.place) \(item.name): \(secret.name), behind \(Self.context(item.bytes, before: position))"
                    }
                }
            }
        }
    }

    /// C's strstr is quick, and ends at a zero: they are line ends here, on both sides.
    private static func position(of needle: [UInt8], in text: [UInt8]) -> Int? {
        text.withUnsafeBufferPointer { text in
            terminated(needle).withUnsafeBufferPointer { needle in
                text.withMemoryRebound(to: CChar.self) { text in
                    needle.withMemoryRebound(to: CChar.self) { needle in
                        guard let start = text.baseAddress, let word = needle.baseAddress, let found = strstr(start, word) else { return nil }
                        return UnsafePointer(found) - start
                    }
                }
            }
        }
    }

    private static func terminated(_ bytes: [UInt8]) -> [UInt8] { bytes.map { $0 == 0 ? 10 : $0 } + [0] }

    /// What stands before it, for who is to find the place.
    private static func context(_ bytes: [UInt8], before position: Int) -> String {
        String(decoding: bytes[max(0, position - 160)..<position], as: UTF8.self).replacing("\n", with: "\\n")
    }
}
