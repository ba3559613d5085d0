import Foundation

/// `demo.json`: what runs, and where. Tools depend on its fields; docs/reference/demo-json.md describes them.
struct DemoDescription: Codable, Equatable {
    /// False until every process answers and the data is loaded, and again once the demo has stopped.
    var ready: Bool
    var database: String?
    /// The first router's address with user and password: `psql "$(jq -r .dsn demo.json)"`.
    var dsn: String?
    var dataset: String?
    /// The process that keeps all the others; a TERM signal to it stops the demo.
    var pid: Int32?
    var routers: [Router]?
    var managers: [Manager]?
    var admin: Administrator?
    var shards: [Shard]?
    /// Registered, too; they own nothing until vnodes are moved to them.
    var spares: [Shard]?

    struct Router: Codable, Equatable {
        var id: String
        var dsn: String
        var url: String
        var pid: Int32
    }

    struct Manager: Codable, Equatable {
        var url: String
        var pid: Int32
    }

    struct Administrator: Codable, Equatable {
        var username: String
        var password: String
    }

    struct Shard: Codable, Equatable {
        var id: String
        var dsn: String
        var port: Int
        var pid: Int32
        var dataDir: String
        var replicas: [Replica]

        enum CodingKeys: String, CodingKey {
            case id, dsn, port, pid, replicas
            case dataDir = "data_dir"
        }
    }

    struct Replica: Codable, Equatable {
        var dsn: String
        var port: Int
        var pid: Int32
        var dataDir: String

        enum CodingKeys: String, CodingKey {
            case dsn, port, pid
            case dataDir = "data_dir"
        }
    }

    static let notReady = DemoDescription(ready: false)
}
