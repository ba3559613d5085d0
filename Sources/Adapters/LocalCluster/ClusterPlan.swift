import PostgresProcess

/// What a cluster on this machine consists of: everything is decided, nothing is started.
package struct ClusterPlan: Codable, Equatable, Sendable {
    package struct Shard: Codable, Equatable, Sendable {
        package var id: String
        package var port: Int
        package var dataDirectory: String
        package var replicas: [Replica]

        package init(id: String, port: Int, dataDirectory: String, replicas: [Replica] = []) {
            self.id = id
            self.port = port
            self.dataDirectory = dataDirectory
            self.replicas = replicas
        }

        private enum CodingKeys: String, CodingKey { case id, port, dataDirectory, replicas }

        package init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            id = try container.decode(String.self, forKey: .id)
            port = try container.decode(Int.self, forKey: .port)
            dataDirectory = try container.decode(String.self, forKey: .dataDirectory)
            // Plans of earlier versions have none.
            replicas = try container.decodeIfPresent([Replica].self, forKey: .replicas) ?? []
        }
    }

    /// A streaming replica of a shard's server.
    package struct Replica: Codable, Equatable, Sendable {
        package var port: Int
        package var dataDirectory: String

        package init(port: Int, dataDirectory: String) {
            self.port = port
            self.dataDirectory = dataDirectory
        }
    }

    package struct Router: Codable, Equatable, Sendable {
        package var id: String
        package var wirePort: Int
        package var restPort: Int

        package init(id: String, wirePort: Int, restPort: Int) {
            self.id = id
            self.wirePort = wirePort
            self.restPort = restPort
        }
    }

    /// The first administrator: logs in to the manager, and to the routers over the wire.
    package struct Administrator: Codable, Equatable, Sendable {
        package var username: String
        package var password: String

        package init(username: String, password: String) {
            self.username = username
            self.password = password
        }
    }

    /// The logical database, and the database of the same name on every shard.
    package var database: String
    package var shards: [Shard]
    /// Servers that are to join the database once it has tables, and own nothing until somebody moves vnodes to them.
    package var spares: [Shard]
    package var routers: [Router]
    package var managerPort: Int
    /// The superuser's password on all shards.
    package var shardPassword: String
    package var administrator: Administrator

    package init(
        database: String, shards: [Shard], spares: [Shard] = [], routers: [Router], managerPort: Int,
        shardPassword: String = Secret.password(), administrator: Administrator = .init(username: "admin", password: Secret.password())
    ) {
        self.database = database
        self.shards = shards
        self.spares = spares
        self.routers = routers
        self.managerPort = managerPort
        self.shardPassword = shardPassword
        self.administrator = administrator
    }

    private enum CodingKeys: String, CodingKey { case database, shards, spares, routers, managerPort, shardPassword, administrator }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        database = try container.decode(String.self, forKey: .database)
        shards = try container.decode([Shard].self, forKey: .shards)
        // Plans of earlier versions have none.
        spares = try container.decodeIfPresent([Shard].self, forKey: .spares) ?? []
        routers = try container.decode([Router].self, forKey: .routers)
        managerPort = try container.decode(Int.self, forKey: .managerPort)
        shardPassword = try container.decode(String.self, forKey: .shardPassword)
        administrator = try container.decode(Administrator.self, forKey: .administrator)
    }

    package func wireDSN(of router: Router) -> String {
        let user = ConnectionString.escape(administrator.username)
        let password = ConnectionString.escape(administrator.password)
        return "postgres://\(user):\(password)@127.0.0.1:\(router.wirePort)/\(ConnectionString.escape(database))"
    }

    package func url(of router: Router) -> String { "http://127.0.0.1:\(router.restPort)" }
    package var managerURL: String { "http://127.0.0.1:\(managerPort)" }
}

/// Passwords made here.
package enum Secret {
    /// 24 letters and digits, about 142 bits: needs no escaping anywhere.
    package static func password() -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        var generator = SystemRandomNumberGenerator()
        return String((0..<24).map { _ in letters[Int.random(in: 0..<letters.count, using: &generator)] })
    }
}
