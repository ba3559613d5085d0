import Foundation

/// The configuration files of the manager and the routers; docs/reference/settings.md has the settings.
///
/// All of it is on loopback, for trying out: REST asks for no token, and says so here.
enum ServerConfigFiles {
    static func manager(_ plan: ClusterPlan, in folder: ClusterFolder) -> String {
        """
        id: "manager-1"
        catalog: \(quoted("sqlite:" + folder.catalogFile))
        secrets: {key_file: \(quoted(folder.secretsKeyFile))}
        http: {port: \(plan.managerPort), auth: none}
        shutdown: {grace: 5s}

        """
    }

    static func router(_ router: ClusterPlan.Router, _ plan: ClusterPlan, in folder: ClusterFolder) -> String {
        """
        id: \(quoted(router.id))
        catalog: \(quoted("sqlite:" + folder.catalogFile))
        snapshot_file: \(quoted("\(folder.catalog)/\(router.id).snapshot"))
        secrets: {key_file: \(quoted(folder.secretsKeyFile))}
        wire: {port: \(router.wirePort), auth: scram}
        http: {port: \(router.restPort), auth: none}
        shutdown: {grace: 5s}

        """
    }

    /// A double-quoted YAML scalar, which is a JSON string.
    private static func quoted(_ text: String) -> String {
        "\"" + text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"") + "\""
    }
}
