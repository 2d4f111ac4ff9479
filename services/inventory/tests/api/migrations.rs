use inventory_service::InventoryService;
use service_kit::testing::assert_migrations_can_be_undone;

#[test]
fn every_migration_can_be_undone_and_done_again() {
    assert_migrations_can_be_undone::<InventoryService>();
}
