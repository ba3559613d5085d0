import Foundation

/// Where something of a run ends up.
enum Place: Hashable, Sendable {
    /// Standard output and error of the servers.
    case log
    case audit, metrics, http
    /// What commands print, and servers that do not start.
    case command
    /// Command lines of all processes of the machine, environments of the servers' children.
    case process
    /// The router's saved catalog, an export, the tables of the catalog store: they hold verifiers and sealed passwords.
    case snapshot, export, store
    /// The schema `pgmosaic` on the shards.
    case shard
    /// PostgreSQL's own.
    case postgresLog
}

/// Something that must not be found, with every form in which it could stand somewhere.
struct Secret: Sendable {
    let name: String
    /// Where it may be: for a row's value, the answer to who asked for it.
    let allowed: Set<Place>
    let needles: [[UInt8]]

    /// - parts: each of them alone betrays it, so that a URL that is cut in the middle of a password does too.
    init(_ name: String, allowed: Set<Place> = [], parts: [[UInt8]]) {
        (self.name, self.allowed) = (name, allowed)
        needles = parts.flatMap(Self.forms)
    }

    init(_ name: String, allowed: Set<Place> = [], text: String) { self.init(name, allowed: allowed, parts: [Array(text.utf8)]) }

    /// As it is, percent-encoded, in hexadecimal digits, as a list of numbers, and in base64 wherever it stands in a longer text.
    static func forms(of bytes: [UInt8]) -> [[UInt8]] {
        func digits(_ byte: UInt8, _ isUpper: Bool) -> String {
            let text = String(byte, radix: 16, uppercase: isUpper)
            return text.count == 1 ? "0" + text : text
        }
        var texts = [bytes.map(String.init).joined(separator: ", "), bytes.map(String.init).joined(separator: ",")]
        for isUpper in [false, true] {
            texts.append(bytes.map { digits($0, isUpper) }.joined())
            texts.append(bytes.map { "%" + digits($0, isUpper) }.joined())
        }
        texts += (0..<3).flatMap { offset -> [String] in
            let plain = base64(bytes, offset: offset)
            return [plain, plain.replacing("+", with: "-").replacing("/", with: "_")]
        }
        return Array(Set([bytes] + texts.map { Array($0.utf8) }))
    }

    /// The characters that depend on these bytes alone when `offset` others stand before them, modulo 3.
    private static func base64(_ bytes: [UInt8], offset: Int) -> String {
        let text = Data([UInt8](repeating: 0, count: offset) + bytes).base64EncodedString()
        return String(text.prefix((offset + bytes.count) * 8 / 6).dropFirst((offset * 8 + 5) / 6))
    }
}

/// A password that is drawn anew for each run, in two halves with what URLs are cut at between them.
struct Password: Sendable {
    let text: String
    let secret: Secret

    init(_ name: String, joint: String = "@/:?&=#%+ ") {
        let halves = [Self.word(), Self.word()]
        text = halves.joined(separator: joint)
        secret = Secret(name, parts: halves.map { Array($0.utf8) })
    }

    static func word(_ length: Int = 16) -> String {
        String((0..<length).map { _ in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".randomElement() ?? "x" })
    }

    /// As it stands in a URL.
    var encoded: String { text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "" }
}
