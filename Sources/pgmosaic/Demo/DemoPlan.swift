import LocalCluster

/// What a folder's demo consists of, decided at its first run and kept for the next ones (`plan.json`, mode 0600).
struct DemoPlan: Codable, Equatable {
    var dataset: DemoDataset
    var cluster: ClusterPlan
    /// True once the data set is loaded and counted. A folder without it is made anew: nothing in it was promised to anybody.
    var complete: Bool
}
