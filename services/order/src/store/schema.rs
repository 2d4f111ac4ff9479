//! The tables as diesel sees them. It takes sixteen columns of one, or compiles for twice as long: so `orders` is
//! described twice, by what is written once and by what changes.

diesel::table! {
    orders (id) {
        id -> Text,
        tenant_id -> Text,
        user_id -> Text,
        product_id -> Text,
        quantity -> Integer,
        order_type -> Text,
        payment_method -> Text,
        status -> Text,
        failure_code -> Nullable<Text>,
        amount_minor -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        traceparent -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        version -> BigInt,
        due_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    #[sql_name = "orders"]
    order_states (id) {
        id -> Text,
        status -> Text,
        failure_code -> Nullable<Text>,
        amount_minor -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        payment_id -> Nullable<Text>,
        updated_at -> Timestamp,
        version -> BigInt,
        due_at -> Nullable<Timestamp>,
        attempts -> Integer,
        parked_reason -> Nullable<Text>,
    }
}

diesel::table! {
    order_events (order_id, version) {
        order_id -> Text,
        version -> BigInt,
        message_id -> Text,
        status -> Text,
        failure_code -> Nullable<Text>,
        traceparent -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    outbox (id) {
        id -> Text,
        destination -> Text,
        order_id -> Text,
        traceparent -> Nullable<Text>,
        created_at -> Timestamp,
        due_at -> Timestamp,
        attempts -> Integer,
    }
}

diesel::table! {
    mails (id) {
        id -> Text,
        order_id -> Text,
        user_id -> Text,
        subject -> Text,
        body -> Text,
        created_at -> Timestamp,
    }
}
