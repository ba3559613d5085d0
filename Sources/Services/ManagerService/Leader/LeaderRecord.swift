internal import Foundation

/// The text of the lease's holder: who leads, and where it takes requests. Every manager reads it with the lease itself, so an address is never older than
/// the leadership.
struct LeaderRecord: Codable, Hashable, Sendable {
    var id: String
    /// Drawn by each process: two of one id are two holders, and a restarted one is another.
    var instance: String
    var url: String
    /// When the process began to ask for the lease: seconds since 1970.
    var startedAt: Double

    private enum CodingKeys: String, CodingKey {
        case id, instance, url
        case startedAt = "started_at"
    }

    /// The same text for the same record, since stores compare it.
    var text: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else { preconditionFailure("a record of three texts and a number can be encoded") }
        return String(decoding: data, as: UTF8.self)
    }

    init(id: String, instance: String, url: String, startedAt: Double) {
        self.id = id
        self.instance = instance
        self.url = url
        self.startedAt = startedAt
    }

    /// nil: of another version, which says nothing that this one knows.
    init?(text: String) {
        guard let record = try? JSONDecoder().decode(Self.self, from: Data(text.utf8)) else { return nil }
        self = record
    }
}
