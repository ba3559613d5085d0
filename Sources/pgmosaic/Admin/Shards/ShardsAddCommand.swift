import ArgumentParser
import ControlAPI

/// `pgmosaic shards add`
struct ShardsAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Check a PostgreSQL server, prepare it, and give it its part of the ring.",
        discussion: """
            The server needs wal_level=logical, max_prepared_transactions above 0, and the database that the endpoint names, empty.
            The password is stored sealed. It may also stay outside the catalog, as a variable or a file of each server:

              pgmosaic shards add east --database shop \\
                --endpoint postgres://app@10.0.0.1:5432/shop --password-file east.pw
              pgmosaic shards add west --database shop \\
                --endpoint 'postgres://app@10.0.0.2/shop?password=env:WEST_PASSWORD'
              pgmosaic shards add north --database shop \\
                --endpoint 'postgres://app@10.0.0.3/shop?password=file:/etc/north.txt'
            """)

    @Argument(help: "A short name, unique in the cluster: letters, digits, '-' and '_'.") var id: String
    @Option(help: "The database it becomes a shard of.") var database: String
    @Option(help: "The primary: postgres://user@host:port/dbname?…") var endpoint: String
    @Option(name: .customLong("replica"), help: "A replica's endpoint. May be given several times.") var replicas: [String] = []
    @Option(help: "A name for people. (the id)") var name: String?
    @OptionGroup var password: EndpointPassword
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "shards add") { client in
            let endpoints = try password.put(into: [endpoint] + replicas, for: client)
            var members: [JSONValue.Member] = [
                .init("id", .string(id)), .init("database", .string(database)), .init("primary_endpoint", .string(endpoints[0])),
            ]
            if let name { members.append(.init("name", .string(name))) }
            if !replicas.isEmpty { members.append(.init("replicas", .array(endpoints.dropFirst().map { .string($0) }))) }
            let answer = try await client.send(.post, ShardsCommand.path, body: .object(members))
            options.show(JSONText(answer)) {
                "added shard \(id) to \(database): it owns \(ShardsShowCommand.share(of: answer)) of the ring"
                    + (answer["is_home"]?.boolValue == true ? ", and is the home shard" : "")
            }
        }
    }
}
