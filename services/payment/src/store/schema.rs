//! The tables, as the migrations make them.

diesel::table! {
    payments (id) {
        id -> Text,
        order_id -> Text,
        user_id -> Nullable<Text>,
        amount_minor -> BigInt,
        currency -> Text,
        payment_method -> Text,
        status -> Text,
        transaction_id -> Nullable<Text>,
        failure_code -> Nullable<Text>,
        traceparent -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}
