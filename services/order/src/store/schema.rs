//! The tables as diesel sees them.

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
        payment_id -> Nullable<Text>,
        traceparent -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
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
